//! An item of the list, and what its text may be.

use compact_str::CompactString;
use jiff::Timestamp;
use serde::Serialize;

/// The longest text, in characters.
pub const LONGEST: usize = 256;

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    /// Its number.
    pub id: i64,
    /// What is to be done.
    pub text: CompactString,
    /// Whether it is done.
    pub done: bool,
    /// When it was added.
    pub created_at: Timestamp,
}

/// The text of an item: something, not too long, in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text(String);

/// A text that no item may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Nothing, or only blanks.
    #[error("say what is to be done")]
    Empty,
    /// Too much.
    #[error("{0} characters are too many; {LONGEST} are allowed")]
    TooLong(usize),
    /// A line break, a zero byte …
    #[error("control characters, such as line breaks, are not allowed")]
    Control,
}

impl Text {
    /// Reads what somebody wrote; blanks around it do not count.
    ///
    /// # Errors
    /// When it is no text for an item.
    pub fn parse(written: &str) -> Result<Self, TextError> {
        let text = written.trim();
        let length = text.chars().count();
        if text.chars().all(|c| c.is_whitespace() || is_invisible(c)) {
            return Err(TextError::Empty);
        }
        if length > LONGEST {
            return Err(TextError::TooLong(length));
        }
        if text.chars().any(|c| c.is_control() || is_line_break(c)) {
            return Err(TextError::Control);
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Takes no place: nobody could see or press an item of nothing else.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Unicode's own breaks between lines and paragraphs, which are no control characters.
fn is_line_break(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_one_line_of_one_to_256_characters() {
        let long = "é".repeat(LONGEST);
        for (written, expected) in [
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
            (
                "\u{200b}\u{feff}\u{ad} \u{2060}\u{202e}",
                Err(TextError::Empty),
            ),
            // Joined by an invisible character: one picture, and it is seen.
            ("👩\u{200d}🚀", Ok("👩\u{200d}🚀")),
        ] {
            let text = Text::parse(written);
            assert_eq!(text.as_ref().map(Text::as_str), expected.as_ref().copied());
        }
        let longer = format!("{long}x");
        assert_eq!(Text::parse(&longer), Err(TextError::TooLong(257)));
        // Blanks around it do not count, and a character counts once, however many bytes it has.
        let padded = format!("  {}\n", "🚀".repeat(LONGEST));
        assert_eq!(Text::parse(&padded).unwrap().as_str().len(), 4 * LONGEST);
    }
}
