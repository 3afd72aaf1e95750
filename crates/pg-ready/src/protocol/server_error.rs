/// The fields of an `ErrorResponse` that distinguish one error from another; absent fields are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ServerError {
    /// SQLSTATE, five characters.
    pub(crate) code: String,
    /// Message in the server's language.
    pub(crate) message: String,
    /// Name of the server's C function that raised the error, which does not depend on the language.
    pub(crate) routine: String,
}

impl ServerError {
    /// Parses the body of an `ErrorResponse`: fields of a type byte and a text, each terminated by a zero byte.
    pub(crate) fn parse(fields: &[u8]) -> Self {
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
