//! Runs checks as SQL over the simple query protocol: one round trip for each statement, and connection poolers support
//! it.

use std::pin::pin;
use std::time::Instant;

use futures::TryStreamExt as _;
use tokio_postgres::SimpleQueryMessage;

use super::session::Session;
use super::{Check, schema};
use crate::attempt::Failure;
use crate::report::CheckReport;
use crate::state::State;

/// Runs one check; returns its report, and the failure if it did not pass.
pub(crate) async fn run(session: &Session, check: &Check) -> (CheckReport, Result<(), Failure>) {
    let start = Instant::now();
    let result = evaluate(session, check).await;
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

async fn evaluate(session: &Session, check: &Check) -> Result<(), Failure> {
    match check {
        // The client exists only after a successful login.
        Check::Login => Ok(()),
        Check::ThroughPooler => session.query_first_row("SELECT 1").await.map(drop),
        Check::Query(sql) => check_query(session, sql).await,
        Check::Write => check_write(session).await,
        Check::Primary if is_in_recovery(session).await? => {
            Err(Failure::new(State::Standby, "the server is a standby"))
        }
        Check::Standby if !is_in_recovery(session).await? => {
            Err(Failure::new(State::Primary, "the server is a primary"))
        }
        Check::Primary | Check::Standby => Ok(()),
        Check::Lag(max) => check_lag(session, max.as_secs_f64()).await,
        Check::Schema(required) => schema::check(session, required).await,
    }
}

async fn is_in_recovery(session: &Session) -> Result<bool, Failure> {
    session
        .query_bool("SELECT pg_catalog.pg_is_in_recovery()")
        .await
}

/// Checks the first value of every statement that returns columns; others (`DO`, `SET`) only have to succeed.
async fn check_query(session: &Session, sql: &str) -> Result<(), Failure> {
    let mut messages = pin!(session.start(sql).await?);
    let mut is_value_missing = false;
    while let Some(message) = messages.try_next().await? {
        match message {
            SimpleQueryMessage::RowDescription(columns) => is_value_missing = !columns.is_empty(),
            SimpleQueryMessage::Row(row) if is_value_missing => {
                is_value_missing = false;
                match row.get(0) {
                    Some("f") => return Err(query_failed("the query's first value is false")),
                    None => return Err(query_failed("the query's first value is null")),
                    Some(_) => {}
                }
            }
            SimpleQueryMessage::CommandComplete(_) if is_value_missing => {
                return Err(query_failed("the query returned no row"));
            }
            _ => {}
        }
    }
    Ok(())
}

fn query_failed(reason: &str) -> Failure {
    Failure::new(State::QueryFailed, reason)
}

/// Commits a message to the write-ahead log: a real write with its flush, which leaves no row, no table and no bloat.
async fn check_write(session: &Session) -> Result<(), Failure> {
    if is_in_recovery(session).await? {
        return Err(Failure::new(
            State::ReadOnly,
            "the server is a standby and accepts no writes",
        ));
    }
    if session
        .query_bool("SELECT pg_catalog.current_setting('transaction_read_only')::boolean")
        .await?
    {
        return Err(Failure::new(
            State::ReadOnly,
            "transactions are read-only (transaction_read_only is on)",
        ));
    }
    let sql = "SELECT pg_catalog.pg_logical_emit_message(true, 'pg-ready', '')";
    session.query_value(sql).await.map(|_| ())
}

/// Checks the replication lag.
///
/// The lag is 0 while the standby receives and has replayed everything that it received, else the age of the last
/// replayed transaction. A standby that receives nothing cannot know how far the primary is ahead, so only the age
/// counts.
///
/// An idle primary sends a message when the receiver requests one, after half of `wal_receiver_timeout`. A receiver
/// without a message for longer than that and than the maximum lag receives nothing, although its connection is open.
/// The second is for the reply to the request.
async fn check_lag(session: &Session, max_seconds: f64) -> Result<(), Failure> {
    let sql = format!(
        "SELECT CASE \
        WHEN NOT pg_catalog.pg_is_in_recovery() THEN 0 \
        WHEN pg_catalog.pg_last_wal_receive_lsn() = pg_catalog.pg_last_wal_replay_lsn() \
             AND EXISTS (SELECT FROM pg_catalog.pg_stat_wal_receiver, LATERAL ( \
                 SELECT pg_catalog.current_setting('wal_receiver_timeout')::interval / 2 AS request) AS r \
               WHERE pid IS NOT NULL AND coalesce(status, 'streaming') = 'streaming' \
               AND (request = '0' OR coalesce(pg_catalog.clock_timestamp() - last_msg_receipt_time, '0') \
                    < greatest(request + '1 s', '{max_seconds} s'))) THEN 0 \
        ELSE EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp()) END"
    );
    let Some(lag) = session.query_value(&sql).await? else {
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
