//! Items in a file, for a service that runs alone.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, Params, Row, params};

use super::{Access, Change, Connections, Count, Created, Migration, Store, StoreError};
use crate::item::{Item, Text};

const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    sql: include_str!("../../migrations/sqlite/0001_items.sql"),
}];

const COLUMNS: &str = "id, text, done, created_at";
/// How long to wait for another process that writes.
const BUSY: Duration = Duration::from_secs(2);

/// One connection, used by one caller at a time on a thread that may block.
pub struct Sqlite {
    path: PathBuf,
    connection: Arc<Mutex<Option<Connection>>>,
}

impl Sqlite {
    /// Opens the file when it is asked for the first time.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            connection: Arc::default(),
        }
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (path, connection) = (self.path.clone(), self.connection.clone());
        let task = tokio::task::spawn_blocking(move || {
            let mut held = connection.lock().unwrap_or_else(PoisonError::into_inner);
            let connection = match &mut *held {
                Some(connection) => connection,
                none => none.insert(open(&path)?),
            };
            work(connection)
        });
        match task.await {
            Ok(result) => result.map_err(|error| failure(&self.path, &error)),
            Err(error) => Err(StoreError::Failed(error.to_string())),
        }
    }
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    Ok(connection)
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

#[async_trait]
impl Store for Sqlite {
    async fn prepare(&self) -> Result<Access, StoreError> {
        self.with(migrate).await
    }

    async fn count(&self) -> Result<Count, StoreError> {
        self.with(|connection| {
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
        self.with(move |connection| {
            let sql =
                format!("SELECT {COLUMNS} FROM items WHERE id < ?1 ORDER BY id DESC LIMIT ?2");
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map(params![before.unwrap_or(i64::MAX), limit], item)?;
            rows.collect()
        })
        .await
    }

    async fn get(&self, id: i64) -> Result<Option<Item>, StoreError> {
        self.with(move |connection| {
            let sql = format!("SELECT {COLUMNS} FROM items WHERE id = ?1");
            one(connection, &sql, [id])
        })
        .await
    }

    async fn create(&self, text: &Text, key: Option<&str>) -> Result<Created, StoreError> {
        let (text, key) = (text.clone(), key.map(str::to_owned));
        self.with(move |connection| {
            let sql = format!(
                "INSERT INTO items (text, created_at, idempotency_key) VALUES (?1, ?2, ?3) \
                 ON CONFLICT (idempotency_key) DO NOTHING RETURNING {COLUMNS}"
            );
            let now = Timestamp::now().to_string();
            if let Some(item) = one(connection, &sql, params![text.as_str(), now, key])? {
                return Ok(Created { item, new: true });
            }
            let sql = format!("SELECT {COLUMNS} FROM items WHERE idempotency_key = ?1");
            let item = one(connection, &sql, params![key])?;
            let item = item.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
            Ok(Created { item, new: false })
        })
        .await
    }

    async fn change(&self, id: i64, change: &Change) -> Result<Option<Item>, StoreError> {
        let change = change.clone();
        self.with(move |connection| {
            let sql = format!(
                "UPDATE items SET text = coalesce(?2, text), done = coalesce(?3, done) WHERE id = ?1 RETURNING {COLUMNS}"
            );
            let text = change.text.as_ref().map(Text::as_str);
            one(connection, &sql, params![id, text, change.done])
        })
        .await
    }

    async fn delete(&self, id: i64) -> Result<bool, StoreError> {
        self.with(move |connection| {
            let gone = connection.execute("DELETE FROM items WHERE id = ?1", [id])?;
            Ok(gone > 0)
        })
        .await
    }

    fn connections(&self) -> Connections {
        Connections {
            open: 1,
            idle: usize::from(self.connection.try_lock().is_ok()),
            waiting: 0,
        }
    }
}

/// The one item of a statement, or none. The statement is run to its end: a change is committed after its row was told,
/// and that is when a full disk shows.
fn one(connection: &Connection, sql: &str, values: impl Params) -> rusqlite::Result<Option<Item>> {
    let mut statement = connection.prepare_cached(sql)?;
    statement.query_one(values, item).optional()
}

fn item(row: &Row<'_>) -> rusqlite::Result<Item> {
    let created: String = row.get(3)?;
    Ok(Item {
        id: row.get(0)?,
        text: row.get_ref(1)?.as_str()?.into(),
        done: row.get(2)?,
        created_at: created.parse().map_err(|error: jiff::Error| {
            rusqlite::Error::FromSqlConversionFailure(3, rusqlite::types::Type::Text, error.into())
        })?,
    })
}

fn failure(path: &Path, error: &rusqlite::Error) -> StoreError {
    let said = format!("{}: {error}", path.display());
    match error.sqlite_error_code() {
        Some(ErrorCode::ReadOnly) => StoreError::ReadOnly,
        Some(ErrorCode::DiskFull) => StoreError::Full(said),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Busy(said),
        Some(ErrorCode::CannotOpen | ErrorCode::SystemIoFailure) => StoreError::Unavailable(said),
        _ => StoreError::Failed(said),
    }
}
