//! libpq's `require_auth`: the authentication methods that a client permits.

use crate::target::PlanError;

/// Methods by name, and the code of the server's request.
const METHODS: [(&str, Option<i32>); 7] = [
    ("password", Some(3)),
    ("md5", Some(5)),
    ("gss", Some(7)),
    ("sspi", Some(9)),
    ("scram-sha-256", Some(10)),
    // Also requested as SASL; a server's request for it fails, because it is not supported.
    ("oauth", None),
    ("none", Some(0)),
];

/// Permitted authentication methods; every method if the setting is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PermittedMethods([bool; METHODS.len()]);

impl Default for PermittedMethods {
    fn default() -> Self {
        Self([true; METHODS.len()])
    }
}

impl PermittedMethods {
    /// Parses a comma-separated list of methods, all of them permitted or, with `!`, all of them not permitted.
    pub(crate) fn parse(text: &str) -> Result<Self, PlanError> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let invalid = || PlanError::Value {
            setting: "require_auth",
            value: text.to_owned(),
        };
        let is_negative = text.starts_with('!');
        let mut permitted = [is_negative; METHODS.len()];
        for item in text.split(',') {
            let name = item.strip_prefix('!').unwrap_or(item);
            let index = METHODS.iter().position(|(known, _)| *known == name);
            let entry = &mut permitted[index.ok_or_else(invalid)?];
            if item.starts_with('!') != is_negative || *entry != is_negative {
                return Err(invalid());
            }
            *entry = !is_negative;
        }
        Ok(Self(permitted))
    }

    /// Returns the name of the method that a server requests with `code`, if it is not permitted.
    pub(crate) fn find_rejected(self, code: i32) -> Option<&'static str> {
        let index = METHODS.iter().position(|(_, known)| *known == Some(code))?;
        (!self.0[index]).then_some(METHODS[index].0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_of_methods_permits_these_or_the_others() {
        for (text, permitted, rejected) in [
            ("", vec![0, 3, 5, 10], vec![]),
            ("scram-sha-256", vec![10], vec![0, 3, 5]),
            ("scram-sha-256,none", vec![0, 10], vec![3, 5]),
            ("!password,!md5", vec![0, 10], vec![3, 5]),
        ] {
            let methods = PermittedMethods::parse(text).unwrap();
            let is_rejected = |code: &i32| methods.find_rejected(*code).is_some();
            assert!(!permitted.iter().any(is_rejected), "{text}");
            assert!(rejected.iter().all(is_rejected), "{text}");
        }
    }

    #[test]
    fn invalid_list_of_methods_is_rejected() {
        for text in ["bogus", "md5,", "md5,md5", "!md5,password", "md5,!password"] {
            assert!(PermittedMethods::parse(text).is_err(), "{text}");
        }
    }
}
