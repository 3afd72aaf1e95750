//! Sends statements: repeats those that were rejected before their execution, and limits their time.

use std::pin::pin;

use deadpool_postgres::Object;
use futures::TryStreamExt as _;
use tokio::time::error::Elapsed;
use tokio::time::timeout;
use tokio_postgres::types::Type;

use super::{NotifyOnDrop, Parameters, Postgres, ReadRow, cancel, error};
use crate::store::StoreError;

/// Maximum number of attempts of a statement that the server rejects before it executes it.
const MAX_ATTEMPTS: usize = 3;

impl Postgres {
    /// Returns the rows of one statement, which is a transaction of its own.
    ///
    /// A statement that the server rejects before it executes it has changed nothing, so it is sent again over a new
    /// connection: its prepared form is no longer valid, or the server became a standby after a fail-over.
    pub(super) async fn query<T: Send>(
        &self,
        sql: &str,
        parameters: Parameters<'_>,
        read: ReadRow<T>,
    ) -> Result<Vec<T>, StoreError> {
        for attempt in 1.. {
            match self.query_once(sql, parameters, read).await {
                Err(StoreError::Stale(reason)) if attempt < MAX_ATTEMPTS => {
                    tracing::info!(reason, "replacing connections with invalid statements");
                    if attempt > 1 {
                        self.connector
                            .assume_pooler("new statements are invalid, too");
                    }
                }
                Err(StoreError::Stale(reason)) => return Err(StoreError::Unavailable(reason)),
                Err(StoreError::ReadOnly) if attempt == 1 => {
                    tracing::info!("replacing connections to a read-only server");
                }
                result => return result,
            }
            self.replace_connections();
        }
        unreachable!("the last attempt returns")
    }

    /// Sends one statement within the time limit.
    async fn query_once<T: Send>(
        &self,
        sql: &str,
        parameters: Parameters<'_>,
        read: ReadRow<T>,
    ) -> Result<Vec<T>, StoreError> {
        // Declared before the connection: it notifies after the connection is returned.
        let _notify = NotifyOnDrop(&self.returned);
        let client = self.checkout().await.map_err(error::from_pool)?;
        let result = if self.connector.is_pooled() {
            self.execute_or_cancel(client, sql, parameters, read).await
        } else {
            let work = self.execute(&client, sql, parameters, read);
            timeout(self.limit, work).await
        };
        result.unwrap_or_else(|_| {
            // The response may still arrive, and other connections may hang, too.
            self.replace_connections();
            Err(StoreError::Uncertain("no response in time".to_owned()))
        })
    }

    /// Executes a statement through a pooler, which does not pass timeouts on to the server: cancels it shortly before the
    /// time limit. The connection is closed then, because the cancellation may arrive after the statement.
    async fn execute_or_cancel<T: Send>(
        &self,
        client: Object,
        sql: &str,
        parameters: Parameters<'_>,
        read: ReadRow<T>,
    ) -> Result<Result<Vec<T>, StoreError>, Elapsed> {
        let result = {
            let mut work = pin!(self.execute(&client, sql, parameters, read));
            match timeout(self.limit - self.limit / 4, &mut work).await {
                Ok(rows) => return Ok(rows),
                Err(_) => {
                    self.cancel(&client);
                    timeout(self.limit / 4, &mut work).await
                }
            }
        };
        drop(Object::take(client));
        result
    }

    async fn execute<T: Send>(
        &self,
        client: &Object,
        sql: &str,
        parameters: Parameters<'_>,
        read: ReadRow<T>,
    ) -> Result<Vec<T>, StoreError> {
        let values = parameters.iter().map(|(value, _)| *value);
        let types = parameters.iter().map(|(_, kind)| kind.clone());
        let mut rows = pin!(if self.connector.is_pooled() {
            client.query_typed_raw(sql, values.zip(types)).await?
        } else {
            let types: Vec<Type> = types.collect();
            let statement = client.prepare_typed_cached(sql, &types).await?;
            client.query_raw(&statement, values).await?
        });
        let mut found = Vec::new();
        while let Some(row) = rows.try_next().await? {
            // The server responded, with a value that this program cannot read.
            found.push(read(&row).map_err(|error| StoreError::Failed(error.to_string()))?);
        }
        Ok(found)
    }

    /// Requests the cancellation of a connection's statement, in the background.
    fn cancel(&self, client: &Object) {
        let (token, limit) = (client.cancel_token(), self.limit);
        let (config, tls) = (self.connector.config(), self.connector.tls());
        tokio::spawn(async move {
            let cancelled = timeout(limit, cancel::cancel(token, &config, tls)).await;
            if let Ok(Err(error)) = cancelled {
                tracing::debug!(%error, "cannot cancel a statement");
            }
        });
    }
}
