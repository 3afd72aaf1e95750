//! Items in PostgreSQL, over a pool of connections.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use deadpool_postgres::{
    Manager, ManagerConfig, Object, Pool, PoolError, QueueMode, RecyclingMethod, Runtime, Timeouts,
};
use http_service::sync::lock;
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};

use super::{Access, Change, Connections, Count, Created, Migration, Outcome, Store, StoreError};
use crate::item::{Item, Text};
use crate::settings::PostgresSettings;

mod cancel;
mod connector;
mod error;
mod migrate;
mod query;

pub use connector::Reload;
use connector::{Connector, SharedConnector};

const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        sql: include_str!("../../migrations/postgres/0001_items.sql"),
    },
    Migration {
        version: 2,
        sql: include_str!("../../migrations/postgres/0002_versions.sql"),
    },
];

/// Interval of checks for a free connection while the server rejects further ones, in case a notification is lost.
const SHARE_INTERVAL: Duration = Duration::from_millis(100);
/// Maximum age of a connection: a name may have another address, and a proxy another server.
const MAX_CONNECTION_AGE: Duration = Duration::from_secs(300);

const COLUMNS: &str = "id, text, done, created_at, version";

/// Database that every server has.
const MAINTENANCE_DATABASE: &str = "postgres";

/// Parameters of a statement, and their types.
type Parameters<'a> = &'a [(&'a (dyn ToSql + Sync), Type)];
type ReadRow<T> = fn(&Row) -> Result<T, tokio_postgres::Error>;

/// Pool of connections to PostgreSQL.
pub struct Postgres {
    pool: Pool,
    connector: Arc<Connector>,
    /// Maximum time for a connection, and for a statement.
    limit: Duration,
    /// Notified when a connection is returned to the pool.
    returned: Notify,
    /// Connections that were opened before this time are replaced.
    replace_before: Mutex<Option<std::time::Instant>>,
}

/// Notifies on drop.
struct NotifyOnDrop<'a>(&'a Notify);

impl Drop for NotifyOnDrop<'_> {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

impl Postgres {
    /// Returns a pool that opens connections on demand.
    ///
    /// # Errors
    /// The certificates of the settings cannot be used.
    pub fn new(settings: &PostgresSettings, size: u16, limit: Duration) -> anyhow::Result<Self> {
        Self::with_reload(settings, None, size, limit)
    }

    /// As [`Self::new`]. `reload` reads the settings of new connections.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_reload(
        settings: &PostgresSettings,
        reload: Option<Reload>,
        size: u16,
        limit: Duration,
    ) -> anyhow::Result<Self> {
        let connector = Arc::new(Connector::new(settings, reload, limit)?);
        // A closed connection is detected without a query; one that hangs by the timeout of its next statement.
        let recycling = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        let shared = SharedConnector(connector.clone());
        let manager = Manager::from_connect(connector.config(), shared, recycling);
        let pool = Pool::builder(manager)
            .max_size(size.into())
            // The connection that was used last has the warmest caches, here and in the server.
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
            connector,
            limit,
            returned: Notify::new(),
            replace_before: Mutex::default(),
        })
    }

    /// Returns a connection of the pool. If the server accepts fewer connections than the pool's size, they are shared.
    async fn checkout(&self) -> Result<Object, PoolError> {
        let deadline = Instant::now() + self.limit;
        loop {
            match self.pool.get().await {
                Err(error) if self.has_to_share(&error) && Instant::now() < deadline => {
                    let _ = timeout(SHARE_INTERVAL, self.returned.notified()).await;
                }
                Ok(client) if self.is_outdated(&client) => drop(Object::take(client)),
                client => return client,
            }
        }
    }

    /// Replaces all connections that are open now: the fault of one is likely to affect the others, too.
    fn replace_connections(&self) {
        *lock(&self.replace_before) = Some(std::time::Instant::now());
    }

    fn is_outdated(&self, client: &Object) -> bool {
        let metrics = Object::metrics(client);
        let replace_before = *lock(&self.replace_before);
        metrics.age() > MAX_CONNECTION_AGE
            || replace_before.is_some_and(|time| metrics.created <= time)
    }

    fn has_to_share(&self, error: &PoolError) -> bool {
        let code = match error {
            PoolError::Backend(error) => error.code(),
            _ => None,
        };
        code == Some(&SqlState::TOO_MANY_CONNECTIONS) && self.pool.status().size > 0
    }

    /// Creates the database of the settings, as the original does, and returns a connection to it.
    async fn checkout_from_new_database(&self) -> Result<Object, StoreError> {
        let created = timeout(self.limit, self.create_database()).await;
        created.map_err(|_| StoreError::Unavailable("no response in time".to_owned()))??;
        self.checkout().await.map_err(error::from_pool)
    }

    async fn create_database(&self) -> Result<(), StoreError> {
        let mut config = self.connector.config();
        let name = config.get_dbname().unwrap_or_default().to_owned();
        config.dbname(MAINTENANCE_DATABASE);
        let (client, connection) = config.connect(self.connector.tls()).await?;
        let connection = tokio::spawn(connection);
        tracing::info!(database = name, "creating the database");
        let statement = format!("CREATE DATABASE \"{}\"", name.replace('"', "\"\""));
        let created = client.batch_execute(&statement).await;
        drop(client);
        connection.abort();
        match created {
            Err(error) if error.code().is_some_and(error::is_existing_database) => Ok(()),
            created => Ok(created?),
        }
    }

    async fn migrate(&self, client: &mut Object) -> Result<Access, StoreError> {
        match timeout(self.limit, migrate::run(client, MIGRATIONS)).await {
            Ok(access) => access,
            Err(_) => {
                self.replace_connections();
                Err(StoreError::Unavailable("no response in time".to_owned()))
            }
        }
    }

    /// Returns the item that has this idempotency key, and the text of the request that added it.
    async fn find_by_key(&self, key: Option<&str>) -> Result<(Item, Option<String>), StoreError> {
        let sql =
            format!("SELECT {COLUMNS}, idempotency_text FROM items WHERE idempotency_key = $1");
        let read = |row: &Row| Ok((read_item(row)?, row.try_get(5)?));
        let mut rows = self.query(&sql, &[(&key, Type::TEXT)], read).await?;
        rows.pop().ok_or_else(|| {
            StoreError::Busy("the item of this key was deleted concurrently".to_owned())
        })
    }

    /// Result of a change that affected no row.
    async fn explain_no_change(&self, id: i64) -> Result<Outcome<Item>, StoreError> {
        Ok(self
            .get(id)
            .await?
            .map_or(Outcome::Missing, Outcome::Conflict))
    }
}

#[async_trait]
impl Store for Postgres {
    async fn prepare(&self) -> Result<Access, StoreError> {
        let mut client = match self.checkout().await {
            Err(error) if error::is_missing_database(&error) => {
                self.checkout_from_new_database().await?
            }
            client => client.map_err(error::from_pool)?,
        };
        let mut access = self.migrate(&mut client).await?;
        if access == Access::ReadOnly {
            // After a fail-over the old primary may keep its connections.
            self.replace_connections();
            drop(client);
            client = self.checkout().await.map_err(error::from_pool)?;
            access = self.migrate(&mut client).await?;
        }
        drop(client);
        // The service is ready if requests succeed, for which a connection is not sufficient.
        self.list(None, 0).await?;
        Ok(access)
    }

    async fn count(&self) -> Result<Count, StoreError> {
        let sql = "SELECT count(*) FILTER (WHERE NOT done), count(*) FROM items";
        let read = |row: &Row| {
            Ok(Count {
                open: row.try_get(0)?,
                all: row.try_get(1)?,
            })
        };
        let mut rows = self.query(sql, &[], read).await?;
        rows.pop()
            .ok_or_else(|| StoreError::Failed("no row of a count".to_owned()))
    }

    async fn list(&self, before: Option<i64>, limit: u16) -> Result<Vec<Item>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM items WHERE id < $1 ORDER BY id DESC LIMIT $2");
        let (before, limit) = (before.unwrap_or(i64::MAX), i64::from(limit));
        let parameters: [(&(dyn ToSql + Sync), Type); 2] =
            [(&before, Type::INT8), (&limit, Type::INT8)];
        self.query(&sql, &parameters, read_item).await
    }

    async fn get(&self, id: i64) -> Result<Option<Item>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM items WHERE id = $1");
        let mut rows = self.query(&sql, &[(&id, Type::INT8)], read_item).await?;
        Ok(rows.pop())
    }

    async fn create(&self, text: &Text, key: Option<&str>) -> Result<Created, StoreError> {
        // One statement is atomic, also if the connection is lost.
        let sql = format!(
            "INSERT INTO items (text, idempotency_key, idempotency_text) \
             VALUES ($1, $2, CASE WHEN $2::text IS NOT NULL THEN $1 END) \
             ON CONFLICT (idempotency_key) DO NOTHING RETURNING {COLUMNS}"
        );
        let parameters: [(&(dyn ToSql + Sync), Type); 2] =
            [(&text.as_str(), Type::TEXT), (&key, Type::TEXT)];
        if let Some(item) = self.query(&sql, &parameters, read_item).await?.pop() {
            return Ok(Created::New(item));
        }
        let (item, first_text) = self.find_by_key(key).await?;
        Ok(Created::existing(item, first_text.as_deref(), text))
    }

    async fn change(&self, id: i64, change: &Change) -> Result<Outcome<Item>, StoreError> {
        let sql = format!(
            "UPDATE items SET text = coalesce($2, text), done = coalesce($3, done), version = version + 1 \
             WHERE id = $1 AND ($4::bigint IS NULL OR version = $4) RETURNING {COLUMNS}"
        );
        let text = change.text.as_ref().map(Text::as_str);
        let parameters: [(&(dyn ToSql + Sync), Type); 4] = [
            (&id, Type::INT8),
            (&text, Type::TEXT),
            (&change.done, Type::BOOL),
            (&change.version, Type::INT8),
        ];
        match self.query(&sql, &parameters, read_item).await?.pop() {
            Some(item) => Ok(Outcome::Done(item)),
            None => self.explain_no_change(id).await,
        }
    }

    async fn delete(&self, id: i64, version: Option<i64>) -> Result<Outcome<Item>, StoreError> {
        let sql = format!(
            "DELETE FROM items WHERE id = $1 AND ($2::bigint IS NULL OR version = $2) RETURNING {COLUMNS}"
        );
        let parameters: [(&(dyn ToSql + Sync), Type); 2] =
            [(&id, Type::INT8), (&version, Type::INT8)];
        match self.query(&sql, &parameters, read_item).await?.pop() {
            Some(item) => Ok(Outcome::Done(item)),
            None => self.explain_no_change(id).await,
        }
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

/// Reads an item in the order of [`COLUMNS`]. PostgreSQL has times that are out of range here, such as `infinity`.
fn read_item(row: &Row) -> Result<Item, tokio_postgres::Error> {
    Ok(Item {
        id: row.try_get(0)?,
        text: row.try_get::<_, &str>(1)?.into(),
        done: row.try_get(2)?,
        created_at: row.try_get::<_, Timestamp>(3).ok(),
        version: row.try_get(4)?,
    })
}
