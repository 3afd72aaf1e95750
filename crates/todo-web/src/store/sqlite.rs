//! Items in an SQLite file, for a service with one replica.
//!
//! Readers have connections of their own: in WAL mode they never wait for a writer. Changes wait in a queue, and a change
//! that is given up while it waits is not made.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use http_service::sync::lock;
use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, Params, Row, params};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{Access, Change, Connections, Count, Created, Migration, Outcome, Store, StoreError};
use crate::item::{Item, Text};

mod open;

const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        sql: include_str!("../../migrations/sqlite/0001_items.sql"),
    },
    Migration {
        version: 2,
        sql: include_str!("../../migrations/sqlite/0002_versions.sql"),
    },
];

const COLUMNS: &str = "id, text, done, created_at, version";
/// Maximum number of concurrent readers.
const MAX_READERS: usize = 4;

/// Connections of one kind, and the number of calls that may use them.
struct Lane {
    permits: Arc<Semaphore>,
    size: usize,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Lane {
    fn new(size: usize) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(size)),
            size,
            idle: Arc::default(),
        }
    }
}

/// Items in a file.
pub struct Sqlite {
    path: PathBuf,
    /// Maximum time for a call, including its wait for other processes that write.
    limit: Duration,
    readers: Lane,
    writer: Lane,
}

impl Sqlite {
    /// Returns a store that opens the file on demand.
    #[must_use]
    pub fn new(path: &Path, limit: Duration) -> Self {
        Self {
            path: path.to_owned(),
            limit,
            readers: Lane::new(MAX_READERS),
            writer: Lane::new(1),
        }
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.call(&self.readers, work).await
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.call(&self.writer, work).await
    }

    /// Runs `work` on a thread that may block. If the caller is dropped, work that has not started does not start.
    async fn call<T: Send + 'static>(
        &self,
        lane: &Lane,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let deadline = Instant::now() + self.limit;
        let busy = || StoreError::Busy("other calls use the file".to_owned());
        let acquired = timeout_at(deadline, lane.permits.clone().acquire_owned()).await;
        let permit = acquired.map_err(|_| busy())?.map_err(|_| busy())?;
        let (path, idle) = (self.path.clone(), lane.idle.clone());
        let abandoned = CancellationToken::new();
        let is_abandoned = abandoned.clone();
        let _abandon = abandoned.drop_guard();
        let task = tokio::task::spawn_blocking(move || {
            if is_abandoned.is_cancelled() {
                return Err(busy());
            }
            let failure = |error: rusqlite::Error| failure(&path, &error);
            let held = lock(&idle).pop();
            let mut connection = match held {
                Some(connection) => connection,
                None => open::open(&path).map_err(failure)?,
            };
            let wait = deadline.saturating_duration_since(Instant::now());
            connection.busy_timeout(wait).map_err(failure)?;
            let result = work(&mut connection).map_err(failure);
            // A connection to a file that failed or was replaced is opened again.
            if !matches!(
                result,
                Err(StoreError::Unavailable(_) | StoreError::Failed(_))
            ) {
                lock(&idle).push(connection);
            }
            drop(permit);
            result
        });
        task.await
            .unwrap_or_else(|error| Err(StoreError::Failed(error.to_string())))
    }
}

fn migrate(connection: &mut Connection) -> rusqlite::Result<Access> {
    if connection.is_readonly(rusqlite::MAIN_DB)? {
        return Ok(Access::ReadOnly);
    }
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let current: i32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    for migration in MIGRATIONS
        .iter()
        .filter(|migration| migration.version > current)
    {
        transaction.execute_batch(migration.sql)?;
        transaction.pragma_update(None, "user_version", migration.version)?;
    }
    transaction.commit()?;
    Ok(Access::ReadWrite)
}

/// Returns `true` if the file has the newest schema, which is checked without a lock for writing.
fn is_migrated(connection: &Connection) -> rusqlite::Result<bool> {
    let current: i32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    Ok(MIGRATIONS
        .last()
        .is_some_and(|migration| current >= migration.version))
}

#[async_trait]
impl Store for Sqlite {
    async fn prepare(&self) -> Result<Access, StoreError> {
        let state = self
            .read(|connection| {
                Ok((
                    is_migrated(connection)?,
                    connection.is_readonly(rusqlite::MAIN_DB)?,
                ))
            })
            .await;
        let access = match state {
            Ok((true, false)) => Access::ReadWrite,
            Ok((_, true)) => Access::ReadOnly,
            _ => self.write(migrate).await?,
        };
        // The service is ready if requests succeed.
        self.list(None, 0).await?;
        Ok(access)
    }

    async fn count(&self) -> Result<Count, StoreError> {
        self.read(|connection| {
            let sql = "SELECT count(*) FILTER (WHERE NOT done), count(*) FROM items";
            connection.query_row(sql, [], |row| {
                Ok(Count {
                    open: row.get(0)?,
                    all: row.get(1)?,
                })
            })
        })
        .await
    }

    async fn list(&self, before: Option<i64>, limit: u16) -> Result<Vec<Item>, StoreError> {
        self.read(move |connection| {
            let sql =
                format!("SELECT {COLUMNS} FROM items WHERE id < ?1 ORDER BY id DESC LIMIT ?2");
            let mut statement = connection.prepare_cached(&sql)?;
            let rows =
                statement.query_map(params![before.unwrap_or(i64::MAX), limit], read_item)?;
            rows.collect()
        })
        .await
    }

    async fn get(&self, id: i64) -> Result<Option<Item>, StoreError> {
        self.read(move |connection| find(connection, id)).await
    }

    async fn create(&self, text: &Text, key: Option<&str>) -> Result<Created, StoreError> {
        let (text, key) = (text.clone(), key.map(str::to_owned));
        self.write(move |connection| {
            let sql = format!(
                "INSERT INTO items (text, created_at, idempotency_key, idempotency_text) \
                 VALUES (?1, ?2, ?3, CASE WHEN ?3 IS NOT NULL THEN ?1 END) \
                 ON CONFLICT (idempotency_key) DO NOTHING RETURNING {COLUMNS}"
            );
            let now = Timestamp::now().to_string();
            if let Some(item) = query_one(connection, &sql, params![text.as_str(), now, key])? {
                return Ok(Created::New(item));
            }
            let sql =
                format!("SELECT {COLUMNS}, idempotency_text FROM items WHERE idempotency_key = ?1");
            let mut statement = connection.prepare_cached(&sql)?;
            let (item, first_text): (Item, Option<String>) =
                statement.query_one(params![key], |row| Ok((read_item(row)?, row.get(5)?)))?;
            Ok(Created::existing(item, first_text.as_deref(), &text))
        })
        .await
    }

    async fn change(&self, id: i64, change: &Change) -> Result<Outcome<Item>, StoreError> {
        let change = change.clone();
        self.write(move |connection| {
            let sql = format!(
                "UPDATE items SET text = coalesce(?2, text), done = coalesce(?3, done), version = version + 1 \
                 WHERE id = ?1 AND (?4 IS NULL OR version = ?4) RETURNING {COLUMNS}"
            );
            let text = change.text.as_ref().map(Text::as_str);
            let values = params![id, text, change.done, change.version];
            match query_one(connection, &sql, values)? {
                Some(item) => Ok(Outcome::Done(item)),
                None => explain_no_change(connection, id),
            }
        })
        .await
    }

    async fn delete(&self, id: i64, version: Option<i64>) -> Result<Outcome<Item>, StoreError> {
        self.write(move |connection| {
            let sql = format!(
                "DELETE FROM items WHERE id = ?1 AND (?2 IS NULL OR version = ?2) RETURNING {COLUMNS}"
            );
            match query_one(connection, &sql, params![id, version])? {
                Some(item) => Ok(Outcome::Done(item)),
                None => explain_no_change(connection, id),
            }
        })
        .await
    }

    fn connections(&self) -> Connections {
        let lanes = [&self.readers, &self.writer];
        let idle: usize = lanes.iter().map(|lane| lock(&lane.idle).len()).sum();
        let in_use = |lane: &&Lane| lane.size - lane.permits.available_permits();
        Connections {
            open: idle + lanes.iter().map(in_use).sum::<usize>(),
            idle,
            waiting: 0,
        }
    }
}

/// Returns the row of a statement, if any. The statement is run to its end: a change is committed after its row is
/// returned, and only then a full disk is reported.
fn query_one(
    connection: &Connection,
    sql: &str,
    values: impl Params,
) -> rusqlite::Result<Option<Item>> {
    let mut statement = connection.prepare_cached(sql)?;
    statement.query_one(values, read_item).optional()
}

fn find(connection: &Connection, id: i64) -> rusqlite::Result<Option<Item>> {
    let sql = format!("SELECT {COLUMNS} FROM items WHERE id = ?1");
    query_one(connection, &sql, [id])
}

/// Result of a change that affected no row.
fn explain_no_change(connection: &Connection, id: i64) -> rusqlite::Result<Outcome<Item>> {
    Ok(find(connection, id)?.map_or(Outcome::Missing, Outcome::Conflict))
}

/// Reads an item in the order of [`COLUMNS`]. Other programs may have written values that this one does not write.
fn read_item(row: &Row<'_>) -> rusqlite::Result<Item> {
    let text = String::from_utf8_lossy(row.get_ref(1)?.as_bytes()?)
        .as_ref()
        .into();
    let created_at = row.get_ref(3)?.as_str().ok();
    Ok(Item {
        id: row.get(0)?,
        text,
        done: row.get(2)?,
        created_at: created_at.and_then(|text| text.parse().ok()),
        version: row.get(4)?,
    })
}

fn failure(path: &Path, error: &rusqlite::Error) -> StoreError {
    let message = format!("{}: {error}", path.display());
    match error.sqlite_error_code() {
        Some(ErrorCode::ReadOnly) => StoreError::ReadOnly,
        Some(ErrorCode::DiskFull) => StoreError::Full(message),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Busy(message),
        Some(ErrorCode::CannotOpen | ErrorCode::SystemIoFailure) => {
            StoreError::Unavailable(message)
        }
        // Another file was put in its place; the health check migrates it.
        Some(ErrorCode::Unknown) if message.contains("no such table") => {
            StoreError::Unavailable(message)
        }
        _ => StoreError::Failed(message),
    }
}
