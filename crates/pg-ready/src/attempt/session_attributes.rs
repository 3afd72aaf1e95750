//! libpq's `target_session_attrs`: the kind of server that a login accepts.

use super::Failure;
use crate::check::session::Session;
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
pub(crate) struct SessionProperties {
    pub(crate) is_standby: bool,
    pub(crate) is_read_only: bool,
}

impl SessionProperties {
    /// Returns the properties, or `None` if the server does not report them.
    pub(super) fn from_parameters<'a>(parameter: impl Fn(&str) -> Option<&'a str>) -> Option<Self> {
        Some(Self {
            is_standby: parameter("in_hot_standby")? == "on",
            is_read_only: parameter("default_transaction_read_only")? == "on",
        })
    }
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
        session: &Session,
        reported: Option<SessionProperties>,
    ) -> Result<(), Failure> {
        if self == Self::Any {
            return Ok(());
        }
        let found = match reported {
            Some(properties) => properties,
            None => query_properties(session).await?,
        };
        let read_only = found.is_read_only || found.is_standby;
        let (state, is_met, reason) = match self {
            Self::Any | Self::PreferStandby => return Ok(()),
            Self::ReadWrite => (State::ReadOnly, !read_only, "the session is read-only"),
            Self::ReadOnly => (State::Primary, read_only, "the session is not read-only"),
            Self::Primary => (State::Standby, !found.is_standby, "the server is a standby"),
            Self::Standby => (State::Primary, found.is_standby, "the server is a primary"),
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

async fn query_properties(session: &Session) -> Result<SessionProperties, Failure> {
    const SQL: &str = "SELECT pg_catalog.pg_is_in_recovery(), \
        pg_catalog.current_setting('transaction_read_only')::boolean";
    let row = session.query_first_row(SQL).await?.unwrap_or_default();
    let is_true = |column: usize| {
        row.get(column)
            .is_some_and(|value| value.as_deref() == Some("t"))
    };
    Ok(SessionProperties {
        is_standby: is_true(0),
        is_read_only: is_true(1),
    })
}
