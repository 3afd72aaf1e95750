//! Statements of checks, each with the time that is left as the server's `statement_timeout`.

use std::pin::pin;
use std::time::Duration;

use futures::TryStreamExt as _;
use tokio::time::Instant;
use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryStream};

use crate::attempt::Failure;

/// An authenticated connection.
pub(crate) struct Session {
    client: Client,
    /// Deadline to announce to the server, so that a statement ends even if this process is killed.
    deadline: Option<Instant>,
}

impl Session {
    pub(crate) fn new(client: Client, deadline: Option<Instant>) -> Self {
        Self { client, deadline }
    }

    /// Starts a statement.
    ///
    /// `SET LOCAL` is in the same message, and so in the same implicit transaction: it costs no round trip and has no
    /// effect on the next client of a connection pooler.
    pub(super) async fn start(
        &self,
        sql: &str,
    ) -> Result<SimpleQueryStream, tokio_postgres::Error> {
        let Some(deadline) = self.deadline else {
            return self.client.simple_query_raw(sql).await;
        };
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = left.max(Duration::from_millis(1)).as_millis();
        let sql = format!("SET LOCAL statement_timeout = {timeout}; {sql}");
        self.client.simple_query_raw(&sql).await
    }

    /// Returns the columns of the first row as text.
    pub(crate) async fn query_first_row(
        &self,
        sql: &str,
    ) -> Result<Option<Vec<Option<String>>>, Failure> {
        let mut messages = pin!(self.start(sql).await?);
        let mut row = None;
        while let Some(message) = messages.try_next().await? {
            if let SimpleQueryMessage::Row(found) = message {
                let text = |column| found.get(column).map(str::to_owned);
                row.get_or_insert_with(|| (0..found.len()).map(text).collect());
            }
        }
        Ok(row)
    }

    /// Returns the first value of the first row; `None` also if it is null.
    pub(super) async fn query_value(&self, sql: &str) -> Result<Option<String>, Failure> {
        let row = self.query_first_row(sql).await?.unwrap_or_default();
        Ok(row.into_iter().next().flatten())
    }

    pub(super) async fn query_bool(&self, sql: &str) -> Result<bool, Failure> {
        Ok(self.query_value(sql).await?.as_deref() == Some("t"))
    }
}
