//! Brings the schema up to date, safely when many replicas start at once.
//!
//! No library: refinery, the one for tokio-postgres, takes no lock, and two replicas that start together would both
//! create the first table.

use tokio_postgres::{Client, Transaction};

use super::super::{Access, Migration, StoreError};

/// Whoever migrates holds this; any number that no other program uses on the database will do.
const LOCK: i64 = 0x746f_646f_2d77_6562;

pub(super) async fn run(
    client: &mut Client,
    migrations: &[Migration],
) -> Result<Access, StoreError> {
    if version(client).await? == newest(migrations) {
        return access(client).await;
    }
    if access(client).await? == Access::ReadOnly {
        return Err(StoreError::ReadOnly);
    }
    let transaction = client.transaction().await?;
    // Held until the transaction ends, in whatever way.
    transaction
        .execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK])
        .await?;
    migrate(&transaction, migrations).await?;
    transaction.commit().await?;
    access(client).await
}

fn newest(migrations: &[Migration]) -> Option<i32> {
    migrations.last().map(|migration| migration.version)
}

/// The newest version in the database; none in a database without any.
async fn version(client: &Client) -> Result<Option<i32>, StoreError> {
    let exists = "SELECT to_regclass('schema_migrations') IS NOT NULL";
    if !client.query_one(exists, &[]).await?.get::<_, bool>(0) {
        return Ok(None);
    }
    let newest = "SELECT max(version) FROM schema_migrations";
    Ok(client.query_one(newest, &[]).await?.get(0))
}

async fn access(client: &Client) -> Result<Access, StoreError> {
    let sql = "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean";
    Ok(if client.query_one(sql, &[]).await?.get(0) {
        Access::ReadOnly
    } else {
        Access::ReadWrite
    })
}

/// All of them in one transaction: a schema is old or new, never between.
async fn migrate(
    transaction: &Transaction<'_>,
    migrations: &[Migration],
) -> Result<(), StoreError> {
    let table = "CREATE TABLE IF NOT EXISTS schema_migrations (version integer PRIMARY KEY, made_at timestamptz NOT NULL DEFAULT now())";
    transaction.batch_execute(table).await?;
    let newest = "SELECT coalesce(max(version), 0) FROM schema_migrations";
    let current: i32 = transaction.query_one(newest, &[]).await?.get(0);
    for migration in migrations
        .iter()
        .filter(|migration| migration.version > current)
    {
        tracing::info!(version = migration.version, "migrating the schema");
        transaction.batch_execute(migration.sql).await?;
        let done = "INSERT INTO schema_migrations (version) VALUES ($1)";
        transaction.execute(done, &[&migration.version]).await?;
    }
    Ok(())
}
