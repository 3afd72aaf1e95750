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
        settings.insert(keywords::known(&name)?, value);
    }
}

fn skip_blanks(chars: &mut Peekable<Chars<'_>>) {
    while chars.next_if(char::is_ascii_whitespace).is_some() {}
}

fn read_name(chars: &mut Peekable<Chars<'_>>) -> String {
    let mut name = String::new();
    while let Some(char) = chars.next_if(|char| *char != '=' && !char.is_ascii_whitespace()) {
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
            Some(char) if !quoted && char.is_ascii_whitespace() => return Ok(value),
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
