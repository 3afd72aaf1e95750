//! Items in PostgreSQL, over a pool.

use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use deadpool_postgres::{
    Manager, ManagerConfig, Object, Pool, PoolError, QueueMode, RecyclingMethod, Runtime,
    TimeoutType, Timeouts,
};
use futures::TryStreamExt as _;
use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};
use tokio_postgres::config::SslMode;
use tokio_postgres::error::{DbError, SqlState};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Config, Row};
use tokio_postgres_rustls::MakeRustlsConnect;

use pg_ready::tls::Mode;

use super::{Access, Change, Connections, Count, Created, Migration, Store, StoreError};
use crate::item::{Item, Text};
use crate::settings::PostgresSettings;

mod migrate;

const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    sql: include_str!("../../migrations/postgres/0001_items.sql"),
}];

/// How long a caller that shares the pool's connections goes without looking whether one is free, had it missed a word.
const PAUSE: Duration = Duration::from_millis(100);

const COLUMNS: &str = "id, text, done, created_at";

/// The database that every server has.
const MAINTENANCE: &str = "postgres";

/// A pool of connections to PostgreSQL.
pub struct Postgres {
    pool: Pool,
    /// How to reach the server without the pool, for a database that has to be made first.
    config: Config,
    tls: MakeRustlsConnect,
    /// The most that waiting for a connection, or a statement, may take.
    limit: Duration,
    /// A connection is nobody's any more.
    returned: Notify,
    /// Connections made before this time may hold statements that the server no longer accepts.
    stale_before: Mutex<Option<std::time::Instant>>,
}

/// Says at its end that a connection is free.
struct Returned<'a>(&'a Notify);

impl Drop for Returned<'_> {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

impl Postgres {
    /// A pool that connects when it is asked for the first time.
    ///
    /// # Errors
    /// When the certificates of its settings cannot be used.
    pub fn new(settings: &PostgresSettings, size: u16, limit: Duration) -> anyhow::Result<Self> {
        let tls = MakeRustlsConnect::new(settings.tls.client_config()?);
        // A connection that broke while it was idle shows that at once; one that hangs ends with its statement's limit.
        let recycling = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        let config = config(settings, limit);
        let manager = Manager::from_config(config.clone(), tls.clone(), recycling);
        let pool = Pool::builder(manager)
            .max_size(size.into())
            // What was used last is warmest, here and in the server.
            .queue_mode(QueueMode::Lifo)
            .timeouts(Timeouts {
                wait: Some(limit),
                create: Some(limit),
                recycle: Some(limit),
            })
            .runtime(Runtime::Tokio1)
            .build()?;
        Ok(Self {
            pool,
            config,
            tls,
            limit,
            returned: Notify::new(),
            stale_before: Mutex::default(),
        })
    }

    /// A connection of the pool. Where the server has fewer places than the pool would like, those that it gave are shared.
    async fn client(&self) -> Result<Object, StoreError> {
        let deadline = Instant::now() + self.limit;
        loop {
            match self.pool.get().await {
                Err(error) if self.has_to_share(&error) && Instant::now() < deadline => {
                    let _ = timeout(PAUSE, self.returned.notified()).await;
                }
                Ok(client) if self.is_stale(&client) => drop(Object::take(client)),
                client => return client.map_err(refused),
            }
        }
    }

    /// Returns `true` if the connection is older than the latest statement that the server no longer accepted.
    fn is_stale(&self, client: &Object) -> bool {
        let stale_before = *self.stale_before();
        stale_before.is_some_and(|time| Object::metrics(client).created <= time)
    }

    fn stale_before(&self) -> MutexGuard<'_, Option<std::time::Instant>> {
        self.stale_before
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn has_to_share(&self, error: &PoolError) -> bool {
        let code = match error {
            PoolError::Backend(error) => error.code(),
            _ => None,
        };
        code == Some(&SqlState::TOO_MANY_CONNECTIONS) && self.pool.status().size > 0
    }

    /// Like the original, which is pointed at a server that has no such database yet.
    async fn client_of_new_database(&self) -> Result<Object, StoreError> {
        let made = timeout(self.limit, self.create_database()).await;
        made.map_err(|_| StoreError::Unavailable("no answer in time".to_owned()))??;
        self.client().await
    }

    async fn create_database(&self) -> Result<(), StoreError> {
        let name = self.config.get_dbname().unwrap_or_default();
        let mut config = self.config.clone();
        config.dbname(MAINTENANCE);
        let (client, connection) = config.connect(self.tls.clone()).await?;
        let connection = tokio::spawn(connection);
        tracing::info!(database = name, "making the database");
        let statement = format!("CREATE DATABASE \"{}\"", name.replace('"', "\"\""));
        let made = client.batch_execute(&statement).await;
        drop(client);
        connection.abort();
        match made {
            // Another replica was faster.
            Err(error) if error.code().is_some_and(is_there_already) => Ok(()),
            made => Ok(made?),
        }
    }

    /// Returns the rows of one statement. If the server no longer accepts the prepared statement, every connection is
    /// replaced and the statement is sent once more: the server refuses it before it runs, so nothing was changed, and a
    /// statement is a transaction.
    async fn rows<T: Send>(
        &self,
        sql: &str,
        values: &[(&(dyn ToSql + Sync), Type)],
        of: fn(&Row) -> Result<T, tokio_postgres::Error>,
    ) -> Result<Vec<T>, StoreError> {
        match self.rows_once(sql, values, of).await {
            Err(StoreError::Stale(error)) => {
                tracing::info!(%error, "replacing connections with stale statements");
                self.rows_once(sql, values, of).await
            }
            rows => rows,
        }
    }

    /// Sends one statement within the limit. The server has the same limit; ours is for a server that hangs.
    async fn rows_once<T: Send>(
        &self,
        sql: &str,
        values: &[(&(dyn ToSql + Sync), Type)],
        of: fn(&Row) -> Result<T, tokio_postgres::Error>,
    ) -> Result<Vec<T>, StoreError> {
        // Declared before the connection: it is told of when the pool has it.
        let _returned = Returned(&self.returned);
        let client = self.client().await?;
        let work = async {
            let types: Vec<Type> = values.iter().map(|(_, kind)| kind.clone()).collect();
            let statement = client.prepare_typed_cached(sql, &types).await?;
            let values: Vec<_> = values.iter().map(|(value, _)| *value).collect();
            let mut rows = pin!(client.query_raw(&statement, values).await?);
            let mut found = Vec::new();
            while let Some(row) = rows.try_next().await? {
                // The server answered, with a column that this program cannot read.
                found.push(of(&row).map_err(|error| StoreError::Failed(error.to_string()))?);
            }
            Ok(found)
        };
        match timeout(self.limit, work).await {
            Ok(Err(StoreError::Stale(error))) => {
                *self.stale_before() = Some(std::time::Instant::now());
                drop(Object::take(client));
                Err(StoreError::Stale(error))
            }
            Ok(rows) => rows,
            Err(_) => {
                // Whatever it answers later is nobody's: the connection is not for the pool any more.
                drop(Object::take(client));
                Err(StoreError::Unavailable("no answer in time".to_owned()))
            }
        }
    }
}

fn refused(error: PoolError) -> StoreError {
    match error {
        PoolError::Timeout(TimeoutType::Wait) => {
            StoreError::Busy("all connections are in use".to_owned())
        }
        PoolError::Timeout(_) => StoreError::Unavailable("no connection in time".to_owned()),
        PoolError::Backend(error) => error.into(),
        other => StoreError::Unavailable(other.to_string()),
    }
}

fn is_missing(error: &PoolError) -> bool {
    matches!(error, PoolError::Backend(error) if error.code() == Some(&SqlState::INVALID_CATALOG_NAME))
}

/// Two that make one database at once meet at its name or at the catalogue's index.
fn is_there_already(code: &SqlState) -> bool {
    [&SqlState::DUPLICATE_DATABASE, &SqlState::UNIQUE_VIOLATION].contains(&code)
}

fn config(settings: &PostgresSettings, limit: Duration) -> Config {
    let mut config = Config::new();
    for host in &settings.hosts {
        config.host(host);
    }
    for port in &settings.ports {
        config.port(*port);
    }
    if let Some(password) = &settings.password {
        config.password(password.expose_secret());
    }
    config
        .user(&settings.user)
        .dbname(&settings.database)
        .application_name("todo-web")
        .connect_timeout(limit)
        // Dead peers are noticed without a statement too, and a lock is not waited for longer than for its statement.
        .keepalives_idle(Duration::from_secs(10))
        .options(format!(
            "-c statement_timeout={0} -c lock_timeout={0}",
            // Before ours, so that a server that is only slow ends its statement itself and the connection stays good.
            (limit - limit / 8).as_millis()
        ))
        .ssl_mode(match settings.tls.mode {
            Mode::Disable => SslMode::Disable,
            Mode::Prefer => SslMode::Prefer,
            Mode::Require | Mode::VerifyCa | Mode::VerifyFull => SslMode::Require,
        });
    config
}

#[async_trait]
impl Store for Postgres {
    async fn prepare(&self) -> Result<Access, StoreError> {
        let mut client = match self.pool.get().await {
            Err(error) if is_missing(&error) => self.client_of_new_database().await?,
            client => client.map_err(refused)?,
        };
        let access = match timeout(self.limit, migrate::run(&mut client, MIGRATIONS)).await {
            Ok(access) => access?,
            Err(_) => {
                drop(Object::take(client));
                return Err(StoreError::Unavailable("no answer in time".to_owned()));
            }
        };
        drop(client);
        // A connection that answers does not mean that requests succeed: the statement of the list has to.
        self.list(None, 0).await?;
        Ok(access)
    }

    async fn count(&self) -> Result<Count, StoreError> {
        let sql = "SELECT count(*) FILTER (WHERE NOT done), count(*) FROM items";
        let of = |row: &Row| {
            Ok(Count {
                open: row.try_get(0)?,
                all: row.try_get(1)?,
            })
        };
        let mut rows = self.rows(sql, &[], of).await?;
        rows.pop()
            .ok_or_else(|| StoreError::Failed("a count without a row".to_owned()))
    }

    async fn list(&self, before: Option<i64>, limit: u16) -> Result<Vec<Item>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM items WHERE id < $1 ORDER BY id DESC LIMIT $2");
        let (before, limit) = (before.unwrap_or(i64::MAX), i64::from(limit));
        let values: [(&(dyn ToSql + Sync), Type); 2] =
            [(&before, Type::INT8), (&limit, Type::INT8)];
        self.rows(&sql, &values, item).await
    }

    async fn get(&self, id: i64) -> Result<Option<Item>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM items WHERE id = $1");
        let mut rows = self.rows(&sql, &[(&id, Type::INT8)], item).await?;
        Ok(rows.pop())
    }

    async fn create(&self, text: &Text, key: Option<&str>) -> Result<Created, StoreError> {
        // One statement: it is there or it is not, however the connection ends.
        let sql = format!(
            "INSERT INTO items (text, idempotency_key) VALUES ($1, $2) \
             ON CONFLICT (idempotency_key) DO NOTHING RETURNING {COLUMNS}"
        );
        let values: [(&(dyn ToSql + Sync), Type); 2] =
            [(&text.as_str(), Type::TEXT), (&key, Type::TEXT)];
        if let Some(item) = self.rows(&sql, &values, item).await?.pop() {
            return Ok(Created { item, new: true });
        }
        let sql = format!("SELECT {COLUMNS} FROM items WHERE idempotency_key = $1");
        let mut rows = self.rows(&sql, &[(&key, Type::TEXT)], item).await?;
        let item = rows.pop().ok_or_else(|| {
            StoreError::Failed("the item of this key was deleted in this moment".to_owned())
        })?;
        Ok(Created { item, new: false })
    }

    async fn change(&self, id: i64, change: &Change) -> Result<Option<Item>, StoreError> {
        let sql = format!(
            "UPDATE items SET text = coalesce($2, text), done = coalesce($3, done) WHERE id = $1 RETURNING {COLUMNS}"
        );
        let text = change.text.as_ref().map(Text::as_str);
        let values: [(&(dyn ToSql + Sync), Type); 3] = [
            (&id, Type::INT8),
            (&text, Type::TEXT),
            (&change.done, Type::BOOL),
        ];
        Ok(self.rows(&sql, &values, item).await?.pop())
    }

    async fn delete(&self, id: i64) -> Result<bool, StoreError> {
        let rows = self
            .rows(
                "DELETE FROM items WHERE id = $1 RETURNING id",
                &[(&id, Type::INT8)],
                |_| Ok(()),
            )
            .await?;
        Ok(!rows.is_empty())
    }

    fn connections(&self) -> Connections {
        let status = self.pool.status();
        Connections {
            open: status.size,
            idle: status.available,
            waiting: status.waiting,
        }
    }
}

/// Reads an item in the order of [`COLUMNS`].
fn item(row: &Row) -> Result<Item, tokio_postgres::Error> {
    Ok(Item {
        id: row.try_get(0)?,
        text: row.try_get::<_, &str>(1)?.into(),
        done: row.try_get(2)?,
        created_at: row.try_get::<_, Timestamp>(3)?,
    })
}

/// Returns `true` if the server no longer accepts a statement that it prepared: a result type changed, or the statement
/// or a type is not there any more, as after `DEALLOCATE ALL` or behind a pooler that gives another server connection.
fn is_stale(refusal: &DbError) -> bool {
    match refusal.code() {
        // The message is translated by the server; the routine is not. Other features may be unsupported for good.
        &SqlState::FEATURE_NOT_SUPPORTED => refusal.routine() == Some("RevalidateCachedQuery"),
        &SqlState::INVALID_SQL_STATEMENT_NAME
        | &SqlState::DUPLICATE_PSTATEMENT
        | &SqlState::UNDEFINED_OBJECT => true,
        // Parameters of another statement by the same name.
        &SqlState::PROTOCOL_VIOLATION => refusal.routine() == Some("exec_bind_message"),
        &SqlState::INTERNAL_ERROR => refusal.message().starts_with("cache lookup failed"),
        _ => false,
    }
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(refusal) = error.as_db_error() else {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            return Self::Unavailable(
                cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}")),
            );
        };
        let said = refusal.message().to_owned();
        match refusal.code() {
            _ if is_stale(refusal) => Self::Stale(said),
            &SqlState::READ_ONLY_SQL_TRANSACTION => Self::ReadOnly,
            &SqlState::DISK_FULL => Self::Full(said),
            // A new server in the place of the old one: it has no schema until the watch has looked at it.
            &SqlState::UNDEFINED_TABLE => Self::Unavailable(said),
            // Statements that were ended, locks that were not to be had.
            &SqlState::QUERY_CANCELED | &SqlState::LOCK_NOT_AVAILABLE => Self::Busy(said),
            // Conflicts with others; too many connections, too little memory.
            code if ["40", "53"].contains(&&code.code()[..2]) => Self::Busy(said),
            // Starting and stopping, roles and passwords: it may be different the next time.
            code if ["08", "28", "3D", "55", "57", "58"].contains(&&code.code()[..2]) => {
                Self::Unavailable(said)
            }
            _ => Self::Failed(said),
        }
    }
}
