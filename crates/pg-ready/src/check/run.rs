//! Runs checks as SQL over the simple query protocol: one round trip for each statement, and connection poolers support
//! it.

use std::pin::pin;
use std::time::Instant;

use futures::TryStreamExt as _;
use tokio_postgres::{Client, SimpleQueryMessage};

use super::Check;
use crate::attempt::Failure;
use crate::report::CheckReport;
use crate::state::State;

/// Tables and columns in which migration tools keep the schema version, in the order in which they are tried.
const VERSION_TABLES: &[(&str, &str)] = &[
    ("schema_migrations", "version"),
    ("refinery_schema_history", "version"),
    ("_sqlx_migrations", "version"),
    ("flyway_schema_history", "version"),
];

/// Runs one check; returns its report, and the failure if it did not pass.
pub(crate) async fn run(client: &Client, check: &Check) -> (CheckReport, Result<(), Failure>) {
    let start = Instant::now();
    let result = evaluate(client, check).await;
    let report = CheckReport {
        check: check.to_string(),
        state: result
            .as_ref()
            .err()
            .map_or(State::Accepting, |failure| failure.state),
        duration: start.elapsed(),
    };
    (report, result)
}

async fn evaluate(client: &Client, check: &Check) -> Result<(), Failure> {
    match check {
        // The client exists only after a successful login.
        Check::Login => Ok(()),
        Check::Query(sql) => check_query(client, sql).await,
        Check::Write => check_write(client).await,
        Check::Primary if is_in_recovery(client).await? => {
            Err(Failure::new(State::Standby, "the server is a standby"))
        }
        Check::Standby if !is_in_recovery(client).await? => {
            Err(Failure::new(State::Primary, "the server is a primary"))
        }
        Check::Primary | Check::Standby => Ok(()),
        Check::Lag(max) => check_lag(client, max.as_secs_f64()).await,
        Check::Schema(min) => check_schema(client, *min).await,
    }
}

/// Returns the columns of the first row as text, and does not wait for further rows.
pub(crate) async fn query_first_row(
    client: &Client,
    sql: &str,
) -> Result<Option<Vec<Option<String>>>, Failure> {
    let mut messages = pin!(client.simple_query_raw(sql).await?);
    let mut row = None;
    while let Some(message) = messages.try_next().await? {
        if let SimpleQueryMessage::Row(found) = message {
            let text = |column| found.get(column).map(str::to_owned);
            row = Some((0..found.len()).map(text).collect());
            break;
        }
    }
    Ok(row)
}

/// Returns the first value of the first row; `None` also if it is null.
async fn query_value(client: &Client, sql: &str) -> Result<Option<String>, Failure> {
    let row = query_first_row(client, sql).await?.unwrap_or_default();
    Ok(row.into_iter().next().flatten())
}

async fn query_bool(client: &Client, sql: &str) -> Result<bool, Failure> {
    Ok(query_value(client, sql).await?.as_deref() == Some("t"))
}

async fn is_in_recovery(client: &Client) -> Result<bool, Failure> {
    query_bool(client, "SELECT pg_catalog.pg_is_in_recovery()").await
}

/// Checks the first value of a statement that returns columns; others (`DO`, `SET`) only have to succeed.
async fn check_query(client: &Client, sql: &str) -> Result<(), Failure> {
    let mut messages = pin!(client.simple_query_raw(sql).await?);
    let mut has_columns = false;
    while let Some(message) = messages.try_next().await? {
        match message {
            SimpleQueryMessage::RowDescription(_) => has_columns = true,
            SimpleQueryMessage::Row(row) if !row.is_empty() => {
                return match row.get(0) {
                    Some("f") => Err(query_failed("the query's first value is false")),
                    None => Err(query_failed("the query's first value is null")),
                    Some(_) => Ok(()),
                };
            }
            _ => {}
        }
    }
    if has_columns {
        return Err(query_failed("the query returned no row"));
    }
    Ok(())
}

fn query_failed(reason: &str) -> Failure {
    Failure::new(State::QueryFailed, reason)
}

/// Commits a message to the write-ahead log: a real write with its flush, which leaves no row, no table and no bloat.
async fn check_write(client: &Client) -> Result<(), Failure> {
    if is_in_recovery(client).await? {
        return Err(Failure::new(
            State::ReadOnly,
            "the server is a standby and accepts no writes",
        ));
    }
    if query_bool(
        client,
        "SELECT pg_catalog.current_setting('transaction_read_only')::boolean",
    )
    .await?
    {
        return Err(Failure::new(
            State::ReadOnly,
            "transactions are read-only (transaction_read_only is on)",
        ));
    }
    let sql = "SELECT pg_catalog.pg_logical_emit_message(true, 'pg-ready', '')";
    query_value(client, sql).await.map(|_| ())
}

/// Checks the replication lag.
///
/// The lag is 0 while the standby receives and has replayed everything that it received, else the age of the last
/// replayed transaction. A standby that receives nothing cannot know how far the primary is ahead, so only the age
/// counts.
async fn check_lag(client: &Client, max_seconds: f64) -> Result<(), Failure> {
    const SQL: &str = "SELECT CASE \
        WHEN NOT pg_catalog.pg_is_in_recovery() THEN 0 \
        WHEN pg_catalog.pg_last_wal_receive_lsn() = pg_catalog.pg_last_wal_replay_lsn() \
             AND EXISTS (SELECT FROM pg_catalog.pg_stat_wal_receiver WHERE pid IS NOT NULL) THEN 0 \
        ELSE EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp()) END";
    let Some(lag) = query_value(client, SQL).await? else {
        return Err(Failure::new(
            State::Lagging,
            "the standby has not replayed a transaction yet",
        ));
    };
    match lag.parse::<f64>() {
        Ok(seconds) if seconds <= max_seconds => Ok(()),
        Ok(seconds) => Err(Failure::new(
            State::Lagging,
            &format!("replication lag is {seconds:.3} s, the maximum is {max_seconds:.3} s"),
        )),
        Err(_) => Err(Failure::new(
            State::Protocol,
            &format!("replication lag {lag:?} is not a number"),
        )),
    }
}

/// Checks the highest version in the first of [`VERSION_TABLES`] that exists.
async fn check_schema(client: &Client, min_version: i64) -> Result<(), Failure> {
    for (table, column) in VERSION_TABLES {
        let exists = format!("SELECT pg_catalog.to_regclass('{table}') IS NOT NULL");
        if !query_bool(client, &exists).await? {
            continue;
        }
        let highest = format!("SELECT pg_catalog.max({column}::bigint) FROM {table}");
        let version = query_value(client, &highest).await?;
        let version = version.and_then(|text| text.parse::<i64>().ok());
        return match version {
            Some(version) if version >= min_version => Ok(()),
            Some(version) => Err(schema_behind(
                &format!("schema version {version} in {table}"),
                min_version,
            )),
            None => Err(schema_behind(
                &format!("no schema version in {table}"),
                min_version,
            )),
        };
    }
    let tables: Vec<_> = VERSION_TABLES.iter().map(|(table, _)| *table).collect();
    Err(schema_behind(
        &format!("none of the tables {} exists", tables.join(", ")),
        min_version,
    ))
}

fn schema_behind(found: &str, min_version: i64) -> Failure {
    let reason = format!("{found}, the required version is {min_version}");
    Failure::new(State::SchemaBehind, &reason)
}
