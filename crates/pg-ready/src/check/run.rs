//! The checks, in SQL. All of it is the simple protocol: one round trip each, and poolers pass it on.

use std::pin::pin;
use std::time::Instant;

use futures::TryStreamExt as _;
use tokio_postgres::{Client, SimpleQueryMessage};

use super::Check;
use crate::probe::Failure;
use crate::report::CheckReport;
use crate::state::State;

/// Where well-known tools keep the version of a schema.
const VERSION_TABLES: &[(&str, &str)] = &[
    ("schema_migrations", "version"),
    ("refinery_schema_history", "version"),
    ("_sqlx_migrations", "version"),
    ("flyway_schema_history", "version"),
];

/// Makes one check; what it found is in the report, and beside it why it failed.
pub(crate) async fn run(client: &Client, check: &Check) -> (CheckReport, Result<(), Failure>) {
    let start = Instant::now();
    let result = found(client, check).await;
    let report = CheckReport {
        check: check.to_string(),
        state: result
            .as_ref()
            .err()
            .map_or(State::Accepting, |failure| failure.state),
        ms: start.elapsed(),
    };
    (report, result)
}

async fn found(client: &Client, check: &Check) -> Result<(), Failure> {
    match check {
        // Whoever asks is in already.
        Check::Login => Ok(()),
        Check::Query(sql) => query(client, sql).await,
        Check::Write => write(client).await,
        Check::Primary if in_recovery(client).await? => {
            Err(Failure::new(State::Standby, "it is a standby"))
        }
        Check::Standby if !in_recovery(client).await? => {
            Err(Failure::new(State::Primary, "it is a primary"))
        }
        Check::Primary | Check::Standby => Ok(()),
        Check::Lag(most) => lag(client, most.as_secs_f64()).await,
        Check::Schema(least) => schema(client, *least).await,
    }
}

/// The first row of an answer, as texts. Whatever follows it is not waited for.
async fn first_row(client: &Client, sql: &str) -> Result<Option<Vec<Option<String>>>, Failure> {
    let mut answer = pin!(client.simple_query_raw(sql).await?);
    let mut row = None;
    while let Some(message) = answer.try_next().await? {
        if let SimpleQueryMessage::Row(found) = message {
            let text = |column| found.get(column).map(str::to_owned);
            row = Some((0..found.len()).map(text).collect());
            break;
        }
    }
    Ok(row)
}

/// The only value of a statement that always has one.
async fn value(client: &Client, sql: &str) -> Result<Option<String>, Failure> {
    let row = first_row(client, sql).await?.unwrap_or_default();
    Ok(row.into_iter().next().flatten())
}

async fn is_true(client: &Client, sql: &str) -> Result<bool, Failure> {
    Ok(value(client, sql).await?.as_deref() == Some("t"))
}

async fn in_recovery(client: &Client) -> Result<bool, Failure> {
    is_true(client, "SELECT pg_catalog.pg_is_in_recovery()").await
}

/// A statement without an answer (`DO`, `SET` …) need only succeed; one with rows must have a first value, and not
/// false.
async fn query(client: &Client, sql: &str) -> Result<(), Failure> {
    let mut answer = pin!(client.simple_query_raw(sql).await?);
    let mut has_columns = false;
    while let Some(message) = answer.try_next().await? {
        match message {
            SimpleQueryMessage::RowDescription(_) => has_columns = true,
            SimpleQueryMessage::Row(row) if !row.is_empty() => {
                return match row.get(0) {
                    Some("f") => Err(no("the query's first value is false")),
                    None => Err(no("the query's first value is null")),
                    Some(_) => Ok(()),
                };
            }
            _ => {}
        }
    }
    if has_columns {
        return Err(no("the query found no row"));
    }
    Ok(())
}

fn no(reason: &str) -> Failure {
    Failure::new(State::QueryFailed, reason)
}

/// Commits a message to the write-ahead log: a real write with its flush, which leaves no row, no table and no bloat.
async fn write(client: &Client) -> Result<(), Failure> {
    if in_recovery(client).await? {
        return Err(Failure::new(
            State::ReadOnly,
            "it is a standby and takes no writes",
        ));
    }
    if is_true(
        client,
        "SELECT pg_catalog.current_setting('transaction_read_only')::boolean",
    )
    .await?
    {
        return Err(Failure::new(
            State::ReadOnly,
            "transactions are read-only here",
        ));
    }
    let sql = "SELECT pg_catalog.pg_logical_emit_message(true, 'pg-ready', '')";
    value(client, sql).await.map(|_| ())
}

/// How far a standby is behind: nothing while it receives and has replayed all that it received, else the age of what it
/// replayed last. A standby that receives nothing cannot know what it misses, so there only the age counts.
async fn lag(client: &Client, most: f64) -> Result<(), Failure> {
    const SQL: &str = "SELECT CASE \
        WHEN NOT pg_catalog.pg_is_in_recovery() THEN 0 \
        WHEN pg_catalog.pg_last_wal_receive_lsn() = pg_catalog.pg_last_wal_replay_lsn() \
             AND EXISTS (SELECT FROM pg_catalog.pg_stat_wal_receiver WHERE pid IS NOT NULL) THEN 0 \
        ELSE EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp()) END";
    let Some(behind) = value(client, SQL).await? else {
        return Err(Failure::new(
            State::Lagging,
            "the standby has replayed nothing yet",
        ));
    };
    match behind.parse::<f64>() {
        Ok(seconds) if seconds <= most => Ok(()),
        Ok(seconds) => Err(Failure::new(
            State::Lagging,
            &format!("{seconds:.3} s behind its primary, {most:.3} s at most were asked for"),
        )),
        Err(_) => Err(Failure::new(State::Protocol, "the lag is no number")),
    }
}

/// The highest version in the first table that exists of those in which migration tools keep it.
async fn schema(client: &Client, least: i64) -> Result<(), Failure> {
    for (table, column) in VERSION_TABLES {
        let exists = format!("SELECT pg_catalog.to_regclass('{table}') IS NOT NULL");
        if !is_true(client, &exists).await? {
            continue;
        }
        let highest = format!("SELECT pg_catalog.max({column}::bigint) FROM {table}");
        let version = value(client, &highest).await?;
        let version = version.and_then(|text| text.parse::<i64>().ok());
        return match version {
            Some(version) if version >= least => Ok(()),
            Some(version) => Err(behind(
                &format!("schema version {version} in {table}"),
                least,
            )),
            None => Err(behind(&format!("no schema version in {table}"), least)),
        };
    }
    let tables: Vec<_> = VERSION_TABLES.iter().map(|(table, _)| *table).collect();
    Err(behind(
        &format!("none of the tables {}", tables.join(", ")),
        least,
    ))
}

fn behind(found: &str, least: i64) -> Failure {
    let reason = format!("{found}, {least} at least was asked for");
    Failure::new(State::SchemaBehind, &reason)
}
