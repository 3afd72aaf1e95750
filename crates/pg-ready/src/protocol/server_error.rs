//! What a server says when it refuses: the fields of its error message.

/// The fields that tell one refusal from another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerError {
    /// The SQLSTATE.
    pub code: String,
    /// In the server's language.
    pub message: String,
    /// The server's function that refused; the same in every language.
    pub routine: String,
}

impl ServerError {
    /// Reads the body of an error message: fields of a letter and a text, each ended by a zero byte.
    #[must_use]
    pub fn parse(fields: &[u8]) -> Self {
        let mut error = Self::default();
        for field in fields.split(|&byte| byte == 0) {
            let Some((kind, text)) = field.split_first() else {
                continue;
            };
            let text = || String::from_utf8_lossy(text).into_owned();
            match kind {
                b'C' => error.code = text(),
                b'M' => error.message = text(),
                b'R' => error.routine = text(),
                _ => {}
            }
        }
        error
    }
}
