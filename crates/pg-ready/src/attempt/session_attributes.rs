//! libpq's `target_session_attrs`: the kind of server that a login accepts.

use tokio_postgres::Client;

use super::Failure;
use crate::check::run::query_first_row;
use crate::state::State;

/// Required kind of server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum SessionAttributes {
    #[default]
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    /// A standby, or any server if there is none.
    PreferStandby,
}

/// Properties of a session, as the server reports them since version 14.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Session {
    pub(crate) is_standby: bool,
    pub(crate) is_read_only: bool,
}

impl SessionAttributes {
    /// Parses a valid value of the setting; others count as `any`.
    pub(crate) fn parse(text: &str) -> Self {
        match text {
            "read-write" => Self::ReadWrite,
            "read-only" => Self::ReadOnly,
            "primary" => Self::Primary,
            "standby" => Self::Standby,
            "prefer-standby" => Self::PreferStandby,
            _ => Self::Any,
        }
    }

    /// Returns the attributes to require, in the order in which all servers are tried with them.
    pub(crate) fn passes(self) -> Vec<Self> {
        match self {
            Self::PreferStandby => vec![Self::Standby, Self::Any],
            other => vec![other],
        }
    }

    /// Checks the session; queries its properties unless the server has reported them, which poolers do not forward.
    pub(super) async fn check(
        self,
        client: &Client,
        reported: Option<Session>,
    ) -> Result<(), Failure> {
        if self == Self::Any {
            return Ok(());
        }
        let session = match reported {
            Some(session) => session,
            None => query_session(client).await?,
        };
        let read_only = session.is_read_only || session.is_standby;
        let (state, is_met, reason) = match self {
            Self::Any | Self::PreferStandby => return Ok(()),
            Self::ReadWrite => (State::ReadOnly, !read_only, "the session is read-only"),
            Self::ReadOnly => (State::Primary, read_only, "the session is not read-only"),
            Self::Primary => (
                State::Standby,
                !session.is_standby,
                "the server is a standby",
            ),
            Self::Standby => (
                State::Primary,
                session.is_standby,
                "the server is a primary",
            ),
        };
        if is_met {
            return Ok(());
        }
        Err(Failure::new(
            state,
            &format!("{reason} (target_session_attrs)"),
        ))
    }
}

async fn query_session(client: &Client) -> Result<Session, Failure> {
    const SQL: &str = "SELECT pg_catalog.pg_is_in_recovery(), \
        pg_catalog.current_setting('transaction_read_only')::boolean";
    let row = query_first_row(client, SQL).await?.unwrap_or_default();
    let is_true = |column: usize| {
        row.get(column)
            .is_some_and(|value| value.as_deref() == Some("t"))
    };
    Ok(Session {
        is_standby: is_true(0),
        is_read_only: is_true(1),
    })
}
