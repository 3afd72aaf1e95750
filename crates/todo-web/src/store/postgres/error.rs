//! Classification of PostgreSQL's errors.

use deadpool_postgres::{PoolError, TimeoutType};
use tokio_postgres::error::{DbError, SqlState};

use super::super::StoreError;

/// Converts an error of a checkout, before which no statement was sent.
pub(super) fn from_pool(error: PoolError) -> StoreError {
    match error {
        PoolError::Timeout(TimeoutType::Wait) => {
            StoreError::Busy("all connections are in use".to_owned())
        }
        PoolError::Timeout(_) => StoreError::Unavailable("no connection in time".to_owned()),
        PoolError::Backend(error) => match error.into() {
            StoreError::Uncertain(reason) | StoreError::Stale(reason) => {
                StoreError::Unavailable(reason)
            }
            error => error,
        },
        other => StoreError::Unavailable(other.to_string()),
    }
}

/// Returns `true` if the database of the settings does not exist.
pub(super) fn is_missing_database(error: &PoolError) -> bool {
    matches!(error, PoolError::Backend(error) if error.code() == Some(&SqlState::INVALID_CATALOG_NAME))
}

/// Returns `true` for the errors of a `CREATE DATABASE` that another replica executed first.
pub(super) fn is_existing_database(code: &SqlState) -> bool {
    [&SqlState::DUPLICATE_DATABASE, &SqlState::UNIQUE_VIOLATION].contains(&code)
}

/// Returns `true` if a pooler rejected the startup parameter `options`. PgBouncer does not translate its messages.
pub(super) fn rejects_options(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_some_and(|error| {
        error
            .message()
            .starts_with("unsupported startup parameter: options")
    })
}

/// Returns `true` if the server no longer accepts a statement that it prepared: a result type changed, or the statement, a
/// type or a table does not exist (any more) for this connection. `DEALLOCATE ALL`, a changed search path, and a pooler
/// with other connections to the server cause this.
fn is_stale(error: &DbError) -> bool {
    match error.code() {
        // The server translates the message but not the routine. Other features may be unsupported permanently.
        &SqlState::FEATURE_NOT_SUPPORTED => error.routine() == Some("RevalidateCachedQuery"),
        &SqlState::INVALID_SQL_STATEMENT_NAME
        | &SqlState::DUPLICATE_PSTATEMENT
        | &SqlState::UNDEFINED_OBJECT
        | &SqlState::UNDEFINED_TABLE => true,
        // The pooler's server connection has another statement of the same name, with other parameters.
        &SqlState::PROTOCOL_VIOLATION => error.routine() == Some("exec_bind_message"),
        &SqlState::INTERNAL_ERROR => error.message().starts_with("cache lookup failed"),
        _ => false,
    }
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(rejection) = error.as_db_error() else {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            return Self::Uncertain(
                source.map_or_else(|| error.to_string(), |source| format!("{error}: {source}")),
            );
        };
        let message = rejection.message().to_owned();
        match rejection.code() {
            _ if is_stale(rejection) => Self::Stale(message),
            &SqlState::READ_ONLY_SQL_TRANSACTION => Self::ReadOnly,
            &SqlState::DISK_FULL => Self::Full(message),
            &SqlState::QUERY_CANCELED | &SqlState::LOCK_NOT_AVAILABLE => Self::Busy(message),
            // Transaction conflicts, and insufficient resources such as connections.
            code if ["40", "53"].contains(&&code.code()[..2]) => Self::Busy(message),
            // Connections, authorization, missing database, object state, operator intervention, system errors: a later
            // attempt may succeed.
            code if ["08", "28", "3D", "55", "57", "58"].contains(&&code.code()[..2]) => {
                Self::Unavailable(message)
            }
            _ => Self::Failed(message),
        }
    }
}
