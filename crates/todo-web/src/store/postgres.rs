//! Items in PostgreSQL, over a pool.

use std::time::Duration;

use async_trait::async_trait;
use deadpool_postgres::{
    Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime, Timeouts,
};
use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use tokio::time::timeout;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
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

const COLUMNS: &str = "id, text, done, created_at";

/// A pool of connections to PostgreSQL.
pub struct Postgres {
    pool: Pool,
    /// The most that waiting for a connection, or a statement, may take.
    limit: Duration,
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
        let manager = Manager::from_config(config(settings, limit), tls, recycling);
        let pool = Pool::builder(manager)
            .max_size(size.into())
            .timeouts(Timeouts {
                wait: Some(limit),
                create: Some(limit),
                recycle: Some(limit),
            })
            .runtime(Runtime::Tokio1)
            .build()?;
        Ok(Self { pool, limit })
    }

    async fn client(&self) -> Result<Object, StoreError> {
        self.pool.get().await.map_err(|error| match error {
            PoolError::Timeout(_) => StoreError::Unavailable("no connection in time".to_owned()),
            PoolError::Backend(error) => error.into(),
            other => StoreError::Unavailable(other.to_string()),
        })
    }

    /// Runs one statement within the limit. The server has the same limit; ours is for a server that hangs.
    async fn rows(
        &self,
        sql: &str,
        values: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, StoreError> {
        let client = self.client().await?;
        let work = async {
            let types: Vec<Type> = values.iter().map(|(_, kind)| kind.clone()).collect();
            let statement = client.prepare_typed_cached(sql, &types).await?;
            let values: Vec<_> = values.iter().map(|(value, _)| *value).collect();
            client.query(&statement, &values).await
        };
        match timeout(self.limit, work).await {
            Ok(rows) => rows.map_err(StoreError::from),
            Err(_) => {
                // Whatever it answers later is nobody's: the connection is not for the pool any more.
                drop(Object::take(client));
                Err(StoreError::Unavailable("no answer in time".to_owned()))
            }
        }
    }
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
            limit.as_millis()
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
        let mut client = self.client().await?;
        match timeout(self.limit, migrate::run(&mut client, MIGRATIONS)).await {
            Ok(access) => access,
            Err(_) => {
                drop(Object::take(client));
                Err(StoreError::Unavailable("no answer in time".to_owned()))
            }
        }
    }

    async fn count(&self) -> Result<Count, StoreError> {
        let sql = "SELECT count(*) FILTER (WHERE NOT done), count(*) FROM items";
        let rows = self.rows(sql, &[]).await?;
        Ok(Count {
            open: rows[0].get(0),
            all: rows[0].get(1),
        })
    }

    async fn list(&self, before: Option<i64>, limit: u16) -> Result<Vec<Item>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM items WHERE id < $1 ORDER BY id DESC LIMIT $2");
        let (before, limit) = (before.unwrap_or(i64::MAX), i64::from(limit));
        let rows = self
            .rows(&sql, &[(&before, Type::INT8), (&limit, Type::INT8)])
            .await?;
        Ok(rows.iter().map(item).collect())
    }

    async fn get(&self, id: i64) -> Result<Option<Item>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM items WHERE id = $1");
        let rows = self.rows(&sql, &[(&id, Type::INT8)]).await?;
        Ok(rows.first().map(item))
    }

    async fn create(&self, text: &Text, key: Option<&str>) -> Result<Created, StoreError> {
        // One statement: it is there or it is not, however the connection ends.
        let sql = format!(
            "INSERT INTO items (text, idempotency_key) VALUES ($1, $2) \
             ON CONFLICT (idempotency_key) DO NOTHING RETURNING {COLUMNS}"
        );
        let rows = self
            .rows(&sql, &[(&text.as_str(), Type::TEXT), (&key, Type::TEXT)])
            .await?;
        if let Some(row) = rows.first() {
            return Ok(Created {
                item: item(row),
                new: true,
            });
        }
        let sql = format!("SELECT {COLUMNS} FROM items WHERE idempotency_key = $1");
        let rows = self.rows(&sql, &[(&key, Type::TEXT)]).await?;
        let row = rows.first().ok_or_else(|| {
            StoreError::Failed("the item of this key was deleted in this moment".to_owned())
        })?;
        Ok(Created {
            item: item(row),
            new: false,
        })
    }

    async fn change(&self, id: i64, change: &Change) -> Result<Option<Item>, StoreError> {
        let sql = format!(
            "UPDATE items SET text = coalesce($2, text), done = coalesce($3, done) WHERE id = $1 RETURNING {COLUMNS}"
        );
        let text = change.text.as_ref().map(Text::as_str);
        let rows = self
            .rows(
                &sql,
                &[
                    (&id, Type::INT8),
                    (&text, Type::TEXT),
                    (&change.done, Type::BOOL),
                ],
            )
            .await?;
        Ok(rows.first().map(item))
    }

    async fn delete(&self, id: i64) -> Result<bool, StoreError> {
        let rows = self
            .rows(
                "DELETE FROM items WHERE id = $1 RETURNING id",
                &[(&id, Type::INT8)],
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

fn item(row: &Row) -> Item {
    Item {
        id: row.get("id"),
        text: row.get("text"),
        done: row.get("done"),
        created_at: row.get::<_, Timestamp>("created_at"),
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
            &SqlState::READ_ONLY_SQL_TRANSACTION => Self::ReadOnly,
            &SqlState::DISK_FULL => Self::Full(said),
            // Starting and stopping, too many connections, statements that were ended, roles and passwords: it may be
            // different the next time.
            code if ["08", "28", "3D", "40", "53", "55", "57", "58"]
                .contains(&&code.code()[..2]) =>
            {
                Self::Unavailable(said)
            }
            _ => Self::Failed(said),
        }
    }
}
