//! Migrates the schema, also if many replicas start at the same time.
//!
//! refinery, the library for tokio-postgres, takes no lock: two replicas that start together would both create the first
//! table. Statements are unnamed, because a pooler may execute each transaction on another connection.

use tokio_postgres::types::Type;
use tokio_postgres::{Client, Transaction};

use super::super::{Access, Migration, StoreError};

/// Advisory lock of the migration; an arbitrary number that no other program uses in this database.
const LOCK: i64 = 0x746f_646f_2d77_6562;

pub(super) async fn run(
    client: &mut Client,
    migrations: &[Migration],
) -> Result<Access, StoreError> {
    let current = version(client).await?;
    let access = access(client).await?;
    let newest = migrations.last().map(|migration| migration.version);
    if current == newest {
        return Ok(access);
    }
    if access == Access::ReadOnly {
        // A standby has an older schema until its primary is migrated.
        return current.map(|_| access).ok_or(StoreError::ReadOnly);
    }
    let transaction = client.transaction().await?;
    // The lock is released with the transaction.
    transaction
        .query_typed("SELECT pg_advisory_xact_lock($1)", &[(&LOCK, Type::INT8)])
        .await?;
    migrate(&transaction, migrations).await?;
    transaction.commit().await?;
    Ok(access)
}

/// Returns the newest version in the database; `None` in a new database.
async fn version(client: &Client) -> Result<Option<i32>, StoreError> {
    let exists = "SELECT to_regclass('schema_migrations') IS NOT NULL";
    if !client.query_typed_one(exists, &[]).await?.try_get(0)? {
        return Ok(None);
    }
    let newest = "SELECT max(version) FROM schema_migrations";
    Ok(client.query_typed_one(newest, &[]).await?.try_get(0)?)
}

async fn access(client: &Client) -> Result<Access, StoreError> {
    let sql = "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean";
    Ok(match client.query_typed_one(sql, &[]).await?.try_get(0)? {
        true => Access::ReadOnly,
        false => Access::ReadWrite,
    })
}

/// Applies all steps in one transaction, so no client sees an intermediate schema.
async fn migrate(
    transaction: &Transaction<'_>,
    migrations: &[Migration],
) -> Result<(), StoreError> {
    let table = "CREATE TABLE IF NOT EXISTS schema_migrations (version integer PRIMARY KEY, made_at timestamptz NOT NULL DEFAULT now())";
    transaction.batch_execute(table).await?;
    let newest = "SELECT coalesce(max(version), 0) FROM schema_migrations";
    let rows = transaction.query_typed(newest, &[]).await?;
    let current: i32 = match rows.first() {
        Some(row) => row.try_get(0)?,
        None => 0,
    };
    for migration in migrations
        .iter()
        .filter(|migration| migration.version > current)
    {
        tracing::info!(version = migration.version, "migrating the schema");
        transaction.batch_execute(migration.sql).await?;
        let insert = "INSERT INTO schema_migrations (version) VALUES ($1)";
        transaction
            .query_typed(insert, &[(&migration.version, Type::INT4)])
            .await?;
    }
    Ok(())
}
