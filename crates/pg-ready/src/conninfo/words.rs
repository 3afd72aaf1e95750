//! `key=value` words: blanks around `=`, single quotes, and a backslash before any character.

use std::iter::Peekable;
use std::str::Chars;

use super::{ConninfoError, Settings, keywords};

pub(super) fn parse(text: &str) -> Result<Settings, ConninfoError> {
    let mut settings = Settings::new();
    let mut chars = text.chars().peekable();
    loop {
        skip_blanks(&mut chars);
        if chars.peek().is_none() {
            return Ok(settings);
        }
        let name = read_name(&mut chars);
        skip_blanks(&mut chars);
        if chars.next() != Some('=') {
            return Err(ConninfoError::MissingEquals(name));
        }
        skip_blanks(&mut chars);
        let value = read_value(&mut chars)?;
        keywords::store(&mut settings, &name, value)?;
    }
}

/// C's `isspace`, of which Rust leaves out one.
fn is_blank(char: &char) -> bool {
    char.is_ascii_whitespace() || *char == '\x0b'
}

fn skip_blanks(chars: &mut Peekable<Chars<'_>>) {
    while chars.next_if(is_blank).is_some() {}
}

fn read_name(chars: &mut Peekable<Chars<'_>>) -> String {
    let mut name = String::new();
    while let Some(char) = chars.next_if(|char| *char != '=' && !is_blank(char)) {
        name.push(char);
    }
    name
}

fn read_value(chars: &mut Peekable<Chars<'_>>) -> Result<String, ConninfoError> {
    let quoted = chars.next_if_eq(&'\'').is_some();
    let mut value = String::new();
    loop {
        match chars.peek() {
            None if quoted => return Err(ConninfoError::UnterminatedQuote),
            None => return Ok(value),
            Some(char) if !quoted && is_blank(char) => return Ok(value),
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
