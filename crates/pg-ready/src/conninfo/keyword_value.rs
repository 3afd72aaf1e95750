//! Keyword/value connection strings: white space around `=`, single quotes, and a backslash before any character.

use std::iter::Peekable;
use std::str::Chars;

use super::{ConninfoError, Settings, keywords};

pub(super) fn parse(text: &str) -> Result<Settings, ConninfoError> {
    let mut settings = Settings::new();
    let mut chars = text.chars().peekable();
    loop {
        skip_spaces(&mut chars);
        if chars.peek().is_none() {
            return Ok(settings);
        }
        let name = parse_keyword(&mut chars);
        skip_spaces(&mut chars);
        if chars.next() != Some('=') {
            return Err(ConninfoError::MissingEquals(name));
        }
        skip_spaces(&mut chars);
        let value = parse_value(&mut chars)?;
        keywords::store(&mut settings, &name, value)?;
    }
}

/// Matches the characters of C's `isspace`; `is_ascii_whitespace` lacks the vertical tab.
fn is_space(char: &char) -> bool {
    char.is_ascii_whitespace() || *char == '\x0b'
}

fn skip_spaces(chars: &mut Peekable<Chars<'_>>) {
    while chars.next_if(is_space).is_some() {}
}

fn parse_keyword(chars: &mut Peekable<Chars<'_>>) -> String {
    let mut name = String::new();
    while let Some(char) = chars.next_if(|char| *char != '=' && !is_space(char)) {
        name.push(char);
    }
    name
}

fn parse_value(chars: &mut Peekable<Chars<'_>>) -> Result<String, ConninfoError> {
    let quoted = chars.next_if_eq(&'\'').is_some();
    let mut value = String::new();
    loop {
        match chars.peek() {
            None if quoted => return Err(ConninfoError::UnterminatedQuote),
            None => return Ok(value),
            Some(char) if !quoted && is_space(char) => return Ok(value),
            Some('\'') if quoted => {
                chars.next();
                return Ok(value);
            }
            Some('\\') => {
                chars.next();
                value.extend(chars.next());
            }
            Some(_) => value.extend(chars.next()),
        }
    }
}
