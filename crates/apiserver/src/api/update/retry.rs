//! Retries of writes that conflict with other clients.

use crate::api::StatusError;
use crate::api::request_info::RequestInfo;

/// Maximum number of attempts to write an object that other clients write at the same time.
pub(in crate::api) const MAX_ATTEMPTS: usize = 16;

/// Reaction to a conflict with another client's write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api) enum OnConflict {
    Retry,
    Fail,
}

impl OnConflict {
    /// Returns `Fail` for a write that names a resource version: it applies to that version only.
    pub(in crate::api) fn for_write(has_resource_version: bool) -> Self {
        if has_resource_version {
            Self::Fail
        } else {
            Self::Retry
        }
    }
}

/// Calls `attempt`, which reads, changes and writes an object, until no other client has written in between.
pub(in crate::api) fn retry_on_conflict<T>(
    info: &RequestInfo,
    on_conflict: OnConflict,
    mut attempt: impl FnMut() -> Result<T, StatusError>,
) -> Result<T, StatusError> {
    for _ in 0..MAX_ATTEMPTS {
        match attempt() {
            Err(error) if error.is_retryable() && on_conflict == OnConflict::Retry => {}
            result => return result,
        }
    }
    Err(StatusError::conflict(
        info.kind,
        info.name.as_deref().unwrap_or_default(),
        "other clients keep changing the object; try again",
    ))
}

#[cfg(test)]
mod tests {
    use super::{MAX_ATTEMPTS, OnConflict, RequestInfo, StatusError, retry_on_conflict};

    #[test]
    fn conflict_is_retried_unless_the_write_has_a_resource_version() {
        let info =
            RequestInfo::parse("/apis/apps/v1/namespaces/default/deployments/x/scale").unwrap();
        for (conflicts, has_resource_version, expected) in [
            (0, false, (1, true)),
            (3, false, (4, true)),
            (MAX_ATTEMPTS - 1, false, (MAX_ATTEMPTS, true)),
            (usize::MAX, false, (MAX_ATTEMPTS, false)),
            (1, true, (1, false)),
        ] {
            let mut attempts = 0;
            let on_conflict = OnConflict::for_write(has_resource_version);
            let result = retry_on_conflict(&info, on_conflict, || {
                attempts += 1;
                if attempts > conflicts {
                    return Ok(());
                }
                Err(StatusError::conflict(info.kind, "x", "modified"))
            });
            assert_eq!((attempts, result.is_ok()), expected, "{conflicts}");
        }
    }

    #[test]
    fn other_error_is_not_retried() {
        let info = RequestInfo::parse("/api/v1/namespaces/default/pods/x").unwrap();
        let mut attempts = 0;
        let result: Result<(), _> = retry_on_conflict(&info, OnConflict::Retry, || {
            attempts += 1;
            Err(StatusError::bad_request("invalid"))
        });
        assert!(result.is_err());
        assert_eq!(attempts, 1);
    }
}
