//! Text with possible line breaks, and where they fall.
//!
//! A group is set on one line if it fits, else all its own lines break (Wadler, *A
//! prettier printer*, and Oppen before him).

use super::WIDTH;

/// Columns of one indentation.
const INDENT: usize = 4;

/// Text with possible line breaks.
#[derive(Clone, Debug)]
pub(super) enum Doc {
    Text(String),
    /// A blank, or a new line where the group is broken.
    Line,
    /// Nothing, or a new line where the group is broken.
    SoftLine,
    /// Always a new line.
    HardLine,
    /// Nothing, or this text where the group is broken.
    IfBroken(&'static str),
    /// Goes to the end of whatever line it is in: a comment.
    Suffix(String),
    Indent(Box<Doc>),
    Concat(Vec<Doc>),
    /// `broken` when it holds something that must break.
    Group {
        doc: Box<Doc>,
        broken: bool,
    },
}

pub(super) fn text(text: impl Into<String>) -> Doc {
    Doc::Text(text.into())
}

pub(super) fn concat(docs: impl Into<Vec<Doc>>) -> Doc {
    Doc::Concat(docs.into())
}

pub(super) fn indent(doc: Doc) -> Doc {
    Doc::Indent(Box::new(doc))
}

pub(super) fn group(doc: Doc) -> Doc {
    Doc::Group {
        broken: doc.must_break(),
        doc: Box::new(doc),
    }
}

/// Documents between brackets, separated by commas: on one line, or one a line.
pub(super) fn list(open: &str, items: Vec<Doc>, close: &str, broken: bool) -> Doc {
    if items.is_empty() {
        return text(format!("{open}{close}"));
    }
    let mut inner = vec![if broken { Doc::HardLine } else { Doc::SoftLine }];
    let last = items.len() - 1;
    for (index, item) in items.into_iter().enumerate() {
        inner.push(item);
        if index < last {
            inner.push(Doc::Line);
        } else {
            inner.push(Doc::IfBroken(","));
        }
    }
    group(concat([
        text(open),
        indent(concat(inner)),
        Doc::SoftLine,
        text(close),
    ]))
}

impl Doc {
    fn must_break(&self) -> bool {
        match self {
            Doc::HardLine | Doc::Suffix(_) => true,
            Doc::Text(_) | Doc::Line | Doc::SoftLine | Doc::IfBroken(_) => false,
            Doc::Indent(doc) => doc.must_break(),
            Doc::Concat(docs) => docs.iter().any(Doc::must_break),
            Doc::Group { broken, .. } => *broken,
        }
    }

    /// The text, each line without blanks at its end, without a newline at its own.
    pub(super) fn render(&self) -> String {
        let mut renderer = Renderer::default();
        renderer.run(self);
        renderer.end_line();
        renderer.out
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Flat,
    Broken,
}

/// A document still to be set: how far lines are indented in it, and whether they break.
#[derive(Clone, Copy)]
struct Task<'a> {
    indent: usize,
    mode: Mode,
    doc: &'a Doc,
}

#[derive(Default)]
struct Renderer {
    out: String,
    column: usize,
    /// Blanks owed before the next text of the line.
    owed: usize,
    suffixes: Vec<String>,
}

impl Renderer {
    fn run(&mut self, doc: &Doc) {
        let mut tasks = vec![Task {
            indent: 0,
            mode: Mode::Broken,
            doc,
        }];
        while let Some(Task { indent, mode, doc }) = tasks.pop() {
            match doc {
                Doc::Text(text) => self.text(text),
                Doc::IfBroken(text) if mode == Mode::Broken => self.text(text),
                Doc::Suffix(text) => self.suffixes.push(text.clone()),
                Doc::HardLine => self.new_line(indent),
                Doc::Line | Doc::SoftLine if mode == Mode::Broken => self.new_line(indent),
                Doc::Line => self.text(" "),
                Doc::SoftLine | Doc::IfBroken(_) => {}
                Doc::Indent(doc) => tasks.push(Task {
                    indent: indent + INDENT,
                    mode,
                    doc,
                }),
                Doc::Concat(docs) => {
                    tasks.extend(docs.iter().rev().map(|doc| Task { indent, mode, doc }));
                }
                Doc::Group { doc, broken } => {
                    let flat = Task {
                        indent,
                        mode: Mode::Flat,
                        doc,
                    };
                    let mode = match !broken && self.fits(flat, &tasks) {
                        true => Mode::Flat,
                        false => Mode::Broken,
                    };
                    tasks.push(Task { indent, mode, doc });
                }
            }
        }
    }

    /// Whether a document, and what follows it up to the next possible line break,
    /// fits into the rest of the line.
    fn fits(&self, task: Task<'_>, following: &[Task<'_>]) -> bool {
        let Some(mut left) = WIDTH.checked_sub(self.column.max(self.owed)) else {
            return false;
        };
        let mut following = following.iter().rev();
        let mut tasks = vec![(task, false)];
        loop {
            let (task, after) = match tasks.pop() {
                Some(task) => task,
                None => match following.next() {
                    Some(task) => (*task, true),
                    None => return true,
                },
            };
            let mode = if after { Mode::Broken } else { task.mode };
            let length = match task.doc {
                Doc::Text(text) => text.chars().count(),
                Doc::HardLine => return true,
                Doc::Line | Doc::SoftLine if mode == Mode::Broken => return true,
                Doc::Line => 1,
                Doc::IfBroken(_) | Doc::SoftLine | Doc::Suffix(_) => 0,
                Doc::Indent(doc) | Doc::Group { doc, .. } => {
                    tasks.push((Task { doc, ..task }, after));
                    0
                }
                Doc::Concat(docs) => {
                    tasks.extend(docs.iter().rev().map(|doc| (Task { doc, ..task }, after)));
                    0
                }
            };
            match left.checked_sub(length) {
                Some(rest) => left = rest,
                None => return false,
            }
        }
    }

    fn text(&mut self, text: &str) {
        if text == " " {
            self.owed += 1;
            return;
        }
        self.out.extend(std::iter::repeat_n(' ', self.owed));
        self.column += self.owed + text.chars().count();
        self.owed = 0;
        self.out.push_str(text);
    }

    fn new_line(&mut self, indent: usize) {
        self.end_line();
        self.out.push('\n');
        self.column = 0;
        self.owed = indent;
    }

    /// Sets the comments that wait for the end of the line.
    fn end_line(&mut self) {
        for suffix in std::mem::take(&mut self.suffixes) {
            let gap = if self.column == 0 { self.owed } else { 2 };
            self.owed = gap;
            self.text(&suffix);
        }
        self.owed = 0;
    }
}
