//! Items of the list, and the rules for their texts.

use compact_str::CompactString;
use jiff::Timestamp;
use serde::Serialize;
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory as _};

/// Maximum length of a text, in characters.
pub const MAX_LENGTH: usize = 256;

/// Item of the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    /// Id, which increases with each item.
    pub id: i64,
    /// Task.
    pub text: CompactString,
    /// `true` if the task is done.
    pub done: bool,
    /// Time of the creation; `None` if another program stored a time that cannot be represented.
    pub created_at: Option<Timestamp>,
    /// Number of changes, from 1. The API has it as the entity tag.
    #[serde(skip)]
    pub version: i64,
}

/// Text of an item: one line, visible, of at most [`MAX_LENGTH`] characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text(String);

/// Error of an invalid text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// The text has no visible character.
    #[error("the text is empty: write at least one visible character")]
    Empty,
    /// The text is too long.
    #[error("the text has {0} characters; at most {MAX_LENGTH} are allowed")]
    TooLong(usize),
    /// The text has a line break, a zero byte or another control character.
    #[error("the text has control characters, such as line breaks, which are not allowed")]
    Control,
}

impl Text {
    /// Removes surrounding white space and validates the text.
    ///
    /// # Errors
    /// The first rule that the text violates.
    pub fn parse(input: &str) -> Result<Self, TextError> {
        let text = input.trim();
        let length = text.chars().count();
        if !text.chars().any(is_visible) {
            return Err(TextError::Empty);
        }
        if length > MAX_LENGTH {
            return Err(TextError::TooLong(length));
        }
        if text.chars().any(|c| c.is_control() || is_line_break(c)) {
            return Err(TextError::Control);
        }
        Ok(Self(text.to_owned()))
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Returns `true` if a character is visible on its own. A combining mark needs another character.
fn is_visible(c: char) -> bool {
    /// Letters and a symbol that are drawn as white space: fillers of Hangul, and the braille pattern without dots.
    const BLANK: [char; 5] = ['\u{115f}', '\u{1160}', '\u{2800}', '\u{3164}', '\u{ffa0}'];
    let is_blank = match c.general_category_group() {
        GeneralCategoryGroup::Separator | GeneralCategoryGroup::Mark => true,
        GeneralCategoryGroup::Other => !matches!(
            c.general_category(),
            GeneralCategory::PrivateUse | GeneralCategory::Unassigned
        ),
        _ => BLANK.contains(&c),
    };
    !is_blank
}

/// Returns `true` for Unicode's line and paragraph separators, which are not control characters.
fn is_line_break(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_one_line_of_1_to_256_characters() {
        let long = "é".repeat(MAX_LENGTH);
        for (input, expected) in [
            ("a", Ok("a")),
            ("  milk  ", Ok("milk")),
            (long.as_str(), Ok(long.as_str())),
            ("", Err(TextError::Empty)),
            (" \t\n ", Err(TextError::Empty)),
            ("a\nb", Err(TextError::Control)),
            ("a\0b", Err(TextError::Control)),
            ("a\u{2028}b", Err(TextError::Control)),
            ("a\u{2029}b", Err(TextError::Control)),
            ("\u{2003}milk\u{3000}", Ok("milk")),
            // Joined by an invisible character.
            ("👩\u{200d}🚀", Ok("👩\u{200d}🚀")),
        ] {
            let text = Text::parse(input);
            assert_eq!(text.as_ref().map(Text::as_str), expected.as_ref().copied());
        }
        let longer = format!("{long}x");
        assert_eq!(Text::parse(&longer), Err(TextError::TooLong(257)));
        // Surrounding white space is not counted, and a character is counted once, whatever its number of bytes.
        let padded = format!("  {}\n", "🚀".repeat(MAX_LENGTH));
        assert_eq!(Text::parse(&padded).unwrap().as_str().len(), 4 * MAX_LENGTH);
    }

    #[test]
    fn text_of_invisible_characters_is_empty() {
        for c in [
            '\u{ad}',
            '\u{61c}',
            '\u{115f}',
            '\u{1160}',
            '\u{180e}',
            '\u{200b}',
            '\u{202e}',
            '\u{2060}',
            '\u{2800}',
            '\u{3164}',
            '\u{fe0f}',
            '\u{feff}',
            '\u{ffa0}',
            '\u{e0041}',
            '\u{301}',
        ] {
            assert_eq!(
                Text::parse(&format!("{c} {c}")),
                Err(TextError::Empty),
                "{c:?}"
            );
            assert!(Text::parse(&format!("a{c}")).is_ok(), "{c:?}");
        }
    }
}
