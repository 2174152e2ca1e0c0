//! Text for models of the next character: windows of a file, and for each the same
//! window one character on. What characters there are is known before anything runs.

use super::download::{Content, Remote, RemoteFile};
use super::find::{FileSet, Found, Places, find};
use super::{Call, Column, Dataset, Field, Provenance, Request, Split, Values, Windows};
use crate::error::{Error, Result};
use crate::rng::{Random, Stream};
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// One character in so many is kept for the test, from the end of the text.
const TEST_PART: usize = 10;
/// Beyond this part nothing would be left to learn from.
const MOST_VALID: f64 = 0.9;
/// A text is a sequence of 32-bit tokens in memory, and its windows are numbered.
const LONGEST: u64 = 1 << 30;

/// The characters of a text, each a class: their position in Unicode's order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Vocabulary {
    characters: Vec<char>,
}

impl Vocabulary {
    /// All characters that occur in a text.
    pub fn of(text: &str) -> Vocabulary {
        let mut characters: Vec<char> = text.chars().collect();
        characters.sort_unstable();
        characters.dedup();
        Vocabulary { characters }
    }

    /// How many there are.
    pub fn size(&self) -> usize {
        self.characters.len()
    }

    /// The class of a character, if it is one of them.
    pub fn class(&self, character: char) -> Option<i32> {
        let found = self.characters.binary_search(&character);
        found.ok().map(|position| position as i32)
    }

    /// The character of a class below [`Vocabulary::size`].
    pub fn character(&self, class: i32) -> char {
        self.characters[class as usize]
    }
}

/// The characters behind the classes of a source's tokens; `None` if it gives no text.
pub fn vocabulary(source: &Call, places: &Places) -> Result<Option<Vocabulary>> {
    match source.name.as_str() {
        "text" => {
            read(&places.find(source.string("file")?)?).map(|text| Some(Vocabulary::of(&text)))
        }
        "tinyshakespeare" => Ok(Some(Vocabulary::of(CHARACTERS))),
        _ => Ok(None),
    }
}

/// `tokens` and `target`, of as many classes as the file has characters.
pub(super) fn fields(source: &Call, places: &Places) -> Result<Vec<Field>> {
    let text = read(&places.find(source.string("file")?)?)?;
    Cut::of(source)?.parts(source, text.chars().count())?;
    described(context(source)?, Vocabulary::of(&text).size())
}

/// `tokens` and `target`.
pub(super) fn shakespeare_fields(source: &Call) -> Result<Vec<Field>> {
    Cut::of(source)?;
    described(context(source)?, Vocabulary::of(CHARACTERS).size())
}

fn described(context: usize, classes: usize) -> Result<Vec<Field>> {
    let field = |name: &str| Field::classes(name, &[context], classes);
    Ok(vec![field("tokens"), field("target")])
}

/// From the file that the source names.
pub(super) fn load(source: &Call, places: &Places) -> Result<Dataset> {
    let path = places.find(source.string("file")?)?;
    let text = read(&path)?;
    windows(
        source,
        &text,
        &Vocabulary::of(&text),
        Provenance::Files(path),
    )
}

/// From files or the network, else words in the shape of a play.
pub(super) fn load_shakespeare(source: &Call, request: &mut Request<'_>) -> Result<Dataset> {
    let (text, provenance) = match find(&SHAKESPEARE, request)? {
        Found::Folder(folder, provenance) => (read(&folder.join(FILE))?, provenance),
        Found::Nowhere(reason) => {
            let text = babble();
            let used = format!("{} characters of random words", text.len());
            let wanted = "tinyshakespeare".into();
            (
                text,
                Provenance::Substitute {
                    wanted,
                    used,
                    reason,
                },
            )
        }
    };
    windows(source, &text, &Vocabulary::of(CHARACTERS), provenance)
}

fn context(source: &Call) -> Result<usize> {
    Ok(source.int("context", 1, 1, 1 << 20)? as usize)
}

fn read(path: &Path) -> Result<String> {
    let size = fs::metadata(path).map_err(Error::io("read", path))?.len();
    if size > LONGEST {
        return Err(Error::bad_file(
            path,
            format!("expected at most {LONGEST} bytes, found {size}"),
        ));
    }
    let bytes = fs::read(path).map_err(Error::io("read", path))?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Error::bad_file(
            path,
            format!("expected UTF-8, found something else at byte {at}"),
        )
    })
}

/// How a text is cut: windows of `context` characters to learn from, then a part to choose
/// by, then the test's.
struct Cut {
    context: usize,
    stride: usize,
    valid: f64,
}

impl Cut {
    fn of(source: &Call) -> Result<Cut> {
        let context = context(source)?;
        let stride = match source.int("stride", 0, 0, 1 << 30)? as usize {
            0 => context,
            stride => stride,
        };
        let valid = source.float("valid", 0.0)?;
        match (0.0..MOST_VALID).contains(&valid) {
            true => Ok(Cut {
                context,
                stride,
                valid,
            }),
            false => {
                let fault = format!("must lie between 0 and {MOST_VALID}, but it is {valid}");
                Err(source.wrong("valid", fault))
            }
        }
    }

    /// Lengths of the parts for training, validation and test.
    fn parts(&self, source: &Call, length: usize) -> Result<[usize; 3]> {
        let (test, valid) = (
            length / TEST_PART,
            (length as f64 * self.valid).round() as usize,
        );
        let train = length - test - valid;
        // A window and the character behind it.
        let least = self.context + 1;
        if train < least || test < least || (valid > 0 && valid < least) {
            return Err(source.fault(format!(
                "the text has {length} characters, too few for windows of {} in each of its parts",
                self.context
            )));
        }
        Ok([train, valid, test])
    }
}

/// Windows of the training text, and side by side of the others.
fn windows(
    source: &Call,
    text: &str,
    vocabulary: &Vocabulary,
    provenance: Provenance,
) -> Result<Dataset> {
    let cut = Cut::of(source)?;
    let tokens: Option<Vec<i32>> = text.chars().map(|c| vocabulary.class(c)).collect();
    let Some(tokens) = tokens else {
        return Err(source.fault("the text has other characters than expected"));
    };
    let [train, valid, test] = cut.parts(source, tokens.len())?;
    let tokens = Arc::new(tokens);
    let split = |offset: usize, length: usize, stride: usize| {
        let count = (length - (cut.context + 1)) / stride + 1;
        let fields = described(cut.context, vocabulary.size())?;
        let columns = fields.into_iter().enumerate().map(|(shift, field)| {
            let windows = Windows {
                offset: offset + shift,
                stride,
                count,
            };
            Column {
                field,
                values: Values::Windows(tokens.clone(), windows),
            }
        });
        Ok::<Split, Error>(Split::new(columns.collect()))
    };
    Ok(Dataset {
        train: split(0, train, cut.stride)?,
        valid: match valid {
            0 => None,
            valid => Some(split(train, valid, cut.context)?),
        },
        test: split(train + valid, test, cut.context)?,
        shuffle: true,
        provenance,
    })
}

const FILE: &str = "input.txt";
const CHARACTERS: &str = "\n !$&',-.3:;?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The text that Karpathy 2015 put together.
const SHAKESPEARE: FileSet = FileSet {
    name: "tinyshakespeare",
    expected: FILE,
    is_in: |folder| folder.join(FILE).is_file(),
    remote: Remote {
        mirrors: &[
            "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/",
        ],
        files: &[RemoteFile {
            name: FILE,
            content: Content::AsItIs,
            sha256: "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
        }],
    },
};

/// Random words with names of speakers before them, the same in every run.
fn babble() -> String {
    const WORDS: &str = "the and to of thou my that is not with be your for it have this him \
                         lord what king shall good now come let love man hath more then sir";
    const LENGTH: usize = 200_000;
    let words: Vec<&str> = WORDS.split_whitespace().collect();
    let mut random = Random::new(0, Stream::Data, 0);
    let mut text = String::new();
    while text.len() < LENGTH {
        let mut word = || words[random.below(words.len() as u32) as usize];
        let speaker = word().to_uppercase();
        let line: Vec<&str> = (0..8).map(|_| word()).collect();
        text += &format!(
            "{speaker}:\n{},\n{}.\n\n",
            line[..4].join(" "),
            line[4..].join(" ")
        );
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::Value;
    use super::*;

    fn source(context: i64) -> Call {
        Call::new("text")
            .with("file", Value::String("t.txt".into()))
            .with("context", Value::Int(context))
    }

    fn places(text: &[u8]) -> (tempfile::TempDir, Places) {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("t.txt"), text).unwrap();
        let places = Places::beside(directory.path());
        (directory, places)
    }

    #[test]
    fn classes_and_characters_are_inverse() {
        let vocabulary = Vocabulary::of("banana\n");
        assert_eq!(vocabulary.size(), 4);
        for (class, character) in "\nabn".chars().enumerate() {
            assert_eq!(vocabulary.class(character), Some(class as i32));
            assert_eq!(vocabulary.character(class as i32), character);
        }
        assert_eq!(vocabulary.class('x'), None);
    }

    /// Every window is followed by its target, and no training window reaches the test's part.
    #[test]
    fn targets_are_one_character_on() {
        let text: String = ('a'..='z').cycle().take(100).collect();
        let (_directory, places) = places(text.as_bytes());
        let data = load(&source(4).with("stride", Value::Int(3)), &places).unwrap();
        assert_eq!(data.train.samples(), (90 - 5) / 3 + 1);
        assert_eq!(data.test.samples(), 2);
        let shift: Vec<usize> = data
            .train
            .columns()
            .iter()
            .map(|column| match column.values {
                Values::Windows(_, windows) => windows.offset,
                _ => panic!("no windows"),
            })
            .collect();
        assert_eq!(shift, [0, 1]);
        assert_eq!(vocabulary(&source(4), &places).unwrap().unwrap().size(), 26);
        assert_eq!(fields(&source(4), &places).unwrap()[1].classes, Some(26));
    }

    #[test]
    fn what_is_no_text_is_refused() {
        let (_directory, here) = places(b"abc\xff");
        let message =
            |context, places: &Places| load(&source(context), places).unwrap_err().to_string();
        assert!(message(1, &here).contains("expected UTF-8, found something else at byte 3"));
        let (_directory, short) = places(b"short");
        assert!(
            message(4, &short).contains(
                "the text has 5 characters, too few for windows of 4 in each of its parts"
            )
        );
        assert!(message(4, &Places::default()).contains("there is no `t.txt`"));
    }

    #[test]
    fn words_stand_in_with_the_same_characters() {
        let vocabulary = Vocabulary::of(CHARACTERS);
        assert_eq!(vocabulary.size(), 65);
        assert!(babble().chars().all(|c| vocabulary.class(c).is_some()));
    }
}
