//! Items, and the space between them.

use super::Printer;
use super::doc::{Doc, concat, group, list, text};
use super::expression::quoted;
use crate::ast::{Const, Definition, DefinitionKind, File, Item, Parameter, Train};

impl Printer<'_> {
    pub(super) fn file(&mut self, file: &File) -> String {
        let mut out = String::new();
        let mut above: Option<Above> = None;
        for item in &file.items {
            let span = item.span();
            let comments = self.top_comments(span.start);
            let doc = self.item(item);
            let stray = self.top_comments(span.end);
            let behind = self.comment_behind(span.end);
            let printed = concat([doc, concat(behind.into_iter().collect::<Vec<_>>())]).render();
            let tall = printed.contains('\n');
            let apart = self.is_apart(above.as_ref(), item, tall, comments.first().map(|c| c.line));
            if apart {
                out.push('\n');
            }
            self.push_stray(&mut out, &stray);
            self.push_comments(&mut out, &comments, Some(span.start));
            if self.original.is_none() {
                push_doc(&mut out, item);
            }
            out.push_str(&printed);
            out.push('\n');
            above = Some(Above {
                line: self.original.line(span.end),
                tall,
                is_const: matches!(item, Item::Const(_)),
            });
        }
        let rest = self.top_comments(u32::MAX);
        if let Some(first) = rest.first() {
            let apart = above.is_some_and(|above| first.line > above.line + 1);
            if apart {
                out.push('\n');
            }
            self.push_comments(&mut out, &rest, None);
        }
        out
    }

    fn top_comments(&mut self, place: u32) -> Vec<TopComment> {
        let mut comments = Vec::new();
        while let Some(comment) = self.comments.next_before(place) {
            comments.push(TopComment {
                text: comment.text.clone(),
                line: self.original.line(comment.span.start),
            });
        }
        comments
    }

    /// Whether a blank line stands above an item and its comments.
    fn is_apart(
        &self,
        above: Option<&Above>,
        item: &Item,
        tall: bool,
        comment_line: Option<usize>,
    ) -> bool {
        let Some(above) = above else {
            return false;
        };
        if self.original.is_none() {
            return !(above.is_const && matches!(item, Item::Const(_)));
        }
        let line = comment_line.unwrap_or_else(|| self.original.line(item.span().start));
        above.tall || tall || line > above.line + 1
    }

    /// Comments from places within an item where none can stay. The blank line below
    /// keeps them out of its documentation.
    fn push_stray(&self, out: &mut String, comments: &[TopComment]) {
        for comment in comments {
            out.push_str(&comment.text);
            out.push('\n');
        }
        if !comments.is_empty() {
            out.push('\n');
        }
    }

    /// Comments on lines of their own, with the blank lines among them and below them.
    fn push_comments(&self, out: &mut String, comments: &[TopComment], below: Option<u32>) {
        for (index, comment) in comments.iter().enumerate() {
            out.push_str(&comment.text);
            out.push('\n');
            let next = match comments.get(index + 1) {
                Some(next) => Some(next.line),
                None => below.map(|below| self.original.line(below)),
            };
            if next.is_some_and(|next| next > comment.line + 1) {
                out.push('\n');
            }
        }
    }

    fn item(&mut self, item: &Item) -> Doc {
        match item {
            Item::Use(item) => text(format!("use {}", quoted(&item.path))),
            Item::Const(item) => self.const_item(item),
            Item::Definition(item) => self.definition(item),
            Item::Train(item) => self.train(item),
        }
    }

    fn const_item(&mut self, item: &Const) -> Doc {
        let ty = self.annotation(item.ty.as_ref());
        let value = self.value(&item.value);
        concat([
            text(format!("const {}", item.name.name)),
            ty,
            text(" = "),
            value,
        ])
    }

    fn train(&mut self, item: &Train) -> Doc {
        concat([text("train "), self.tall_block(&item.body)])
    }

    fn definition(&mut self, item: &Definition) -> Doc {
        let keyword = match item.kind {
            DefinitionKind::Fn => "fn",
            DefinitionKind::Layer => "layer",
            DefinitionKind::Net => "net",
            DefinitionKind::Optimizer => "optimizer",
        };
        let mut docs = vec![text(format!("{keyword} {}", item.name.name))];
        // `layer f()(x)` is the same as `layer f(x)`.
        if !item.hyper.is_empty() || item.kind == DefinitionKind::Optimizer {
            docs.push(self.parameters(&item.hyper));
        }
        if item.kind != DefinitionKind::Optimizer {
            docs.push(self.parameters(&item.inputs));
        }
        if let Some(result) = &item.result {
            docs.push(text(" -> "));
            docs.push(self.shape(result));
        }
        docs.push(text(" "));
        let one_line = item.body.statements.len() <= 1
            && !self
                .original
                .breaks(item.body.span.start, item.body.span.end);
        docs.push(match one_line {
            true => group(self.block(&item.body)),
            false => self.tall_block(&item.body),
        });
        concat(docs)
    }

    fn parameters(&mut self, parameters: &[Parameter]) -> Doc {
        let broken = parameters
            .first()
            .is_some_and(|first| self.original.breaks_before(first.span.start));
        let last = parameters.len().saturating_sub(1);
        let mut docs = Vec::new();
        for (index, parameter) in parameters.iter().enumerate() {
            let mut doc = self.comments_above(parameter.span.start);
            doc.push(text(&parameter.name.name));
            doc.push(self.annotation(parameter.ty.as_ref()));
            if let Some(default) = &parameter.default {
                doc.push(text(" = "));
                doc.push(self.expression(default));
            }
            self.end_element(&mut doc, parameter.span.end, index < last);
            docs.push(concat(doc));
        }
        list("(", docs, ")", broken)
    }
}

/// What the blank line above an item depends on.
struct Above {
    line: usize,
    tall: bool,
    is_const: bool,
}

struct TopComment {
    text: String,
    line: usize,
}

fn push_doc(out: &mut String, item: &Item) {
    let doc = match item {
        Item::Const(item) => &item.doc,
        Item::Definition(item) => &item.doc,
        Item::Use(_) | Item::Train(_) => return,
    };
    for line in doc {
        out.push_str(format!("# {line}").trim_end());
        out.push('\n');
    }
}
