//! The health check on a paused clock, over a scripted store.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use http_service::Metrics;
use tokio::time::{Instant, advance};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{CHECK_INTERVAL, Database, State};
use crate::item::{Item, Text};
use crate::store::{Access, Change, Connections, Count, Created, Outcome, Store, StoreError};

/// Store with one result for all calls, which records the times of its checks.
struct ScriptedStore {
    result: Mutex<Result<Access, StoreError>>,
    checks: Mutex<Vec<Instant>>,
}

impl ScriptedStore {
    fn set_result(&self, result: Result<Access, StoreError>) {
        *self.result.lock().unwrap() = result;
    }

    fn result(&self) -> Result<Access, StoreError> {
        self.result.lock().unwrap().clone()
    }

    fn checks(&self) -> Vec<Instant> {
        self.checks.lock().unwrap().clone()
    }
}

#[async_trait]
impl Store for ScriptedStore {
    async fn prepare(&self) -> Result<Access, StoreError> {
        self.checks.lock().unwrap().push(Instant::now());
        self.result()
    }

    async fn count(&self) -> Result<Count, StoreError> {
        self.result().map(|_| Count { open: 0, all: 0 })
    }

    async fn list(&self, _: Option<i64>, _: u16) -> Result<Vec<Item>, StoreError> {
        Err(StoreError::Failed("not called".to_owned()))
    }

    async fn get(&self, _: i64) -> Result<Option<Item>, StoreError> {
        Err(StoreError::Failed("not called".to_owned()))
    }

    async fn create(&self, _: &Text, _: Option<&str>) -> Result<Created, StoreError> {
        Err(StoreError::Failed("not called".to_owned()))
    }

    async fn change(&self, _: i64, _: &Change) -> Result<Outcome<Item>, StoreError> {
        Err(StoreError::Failed("not called".to_owned()))
    }

    async fn delete(&self, _: i64, _: Option<i64>) -> Result<Outcome<Item>, StoreError> {
        self.result().map(|_| Outcome::Missing)
    }

    fn connections(&self) -> Connections {
        Connections::default()
    }
}

fn unavailable() -> StoreError {
    StoreError::Unavailable("no server".to_owned())
}

fn busy() -> StoreError {
    StoreError::Busy("busy".to_owned())
}

fn up(state: &State) -> bool {
    matches!(state, State::Up(_))
}

fn down(state: &State) -> bool {
    matches!(state, State::Down(_))
}

/// Starts the health check of a store with this result.
fn start(result: Result<Access, StoreError>) -> (Arc<ScriptedStore>, Arc<Database>, DropGuard) {
    let store = Arc::new(ScriptedStore {
        result: Mutex::new(result),
        checks: Mutex::default(),
    });
    let database = Arc::new(Database::new(
        store.clone(),
        &Metrics::default(),
        Access::ReadWrite,
        Duration::from_secs(5),
    ));
    let shutdown = CancellationToken::new();
    tokio::spawn(database.clone().run_health_check(shutdown.clone()));
    (store, database, shutdown.drop_guard())
}

#[tokio::test(start_paused = true)]
async fn available_database_is_detected_within_a_second_after_any_outage() {
    for outage in [0, 1, 7, 60, 3600] {
        let (store, database, _health_check) = start(Err(unavailable()));
        database.wait_for(down).await;
        tokio::time::sleep(Duration::from_secs(outage)).await;
        store.set_result(Ok(Access::ReadWrite));
        let back = Instant::now();
        database.wait_for(up).await;
        assert!(back.elapsed() <= Duration::from_secs(1), "{outage}");
        let checks = store.checks();
        let max_interval = checks.windows(2).map(|pair| pair[1] - pair[0]).max();
        assert!(
            max_interval <= Some(Duration::from_millis(1001)),
            "{max_interval:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn available_database_is_checked_periodically() {
    let (store, database, _health_check) = start(Ok(Access::ReadWrite));
    database.wait_for(up).await;
    tokio::time::sleep(CHECK_INTERVAL * 3).await;
    let checks = store.checks();
    assert!(
        checks
            .windows(2)
            .all(|pair| pair[1] - pair[0] == CHECK_INTERVAL)
    );
    assert!((3..=4).contains(&checks.len()), "{checks:?}");
}

#[tokio::test(start_paused = true)]
async fn failed_request_marks_the_database_as_down_and_starts_a_check() {
    let (store, database, _health_check) = start(Ok(Access::ReadWrite));
    database.wait_for(up).await;
    advance(CHECK_INTERVAL / 2).await;
    store.set_result(Err(unavailable()));
    let failed = Instant::now();
    assert_eq!(
        database.read("count", |store| store.count()).await,
        Err(unavailable())
    );
    assert!(down(&database.state()));
    let rejected = database.read("count", |_| async { Ok(()) }).await;
    assert!(
        matches!(rejected, Err(StoreError::Unavailable(_))),
        "{rejected:?}"
    );
    store.set_result(Ok(Access::ReadOnly));
    database.wait_for(up).await;
    assert_eq!(store.checks().last(), Some(&failed));
    assert_eq!(database.access(), Access::ReadOnly);
}

#[tokio::test(start_paused = true)]
async fn busy_database_stays_up() {
    let (store, database, _health_check) = start(Ok(Access::ReadWrite));
    database.wait_for(up).await;
    store.set_result(Err(busy()));
    assert_eq!(
        database.read("count", |store| store.count()).await,
        Err(busy())
    );
    tokio::time::sleep(CHECK_INTERVAL * 2).await;
    assert!(
        up(&database.state()),
        "no check was made: {:?}",
        database.state()
    );

    let (_, database, _health_check) = start(Err(busy()));
    database.wait_for(down).await;
}

#[tokio::test(start_paused = true)]
async fn rejected_change_makes_the_list_read_only_until_the_next_check() {
    let (store, database, _health_check) = start(Ok(Access::ReadWrite));
    database.wait_for(up).await;
    store.set_result(Err(StoreError::ReadOnly));
    let rejected = database
        .write("delete", |store| store.delete(1, None))
        .await;
    assert_eq!(rejected, Err(StoreError::ReadOnly));
    assert_eq!(database.state(), State::Up(Access::ReadOnly));
    store.set_result(Ok(Access::ReadWrite));
    database
        .wait_for(|state| *state == State::Up(Access::ReadWrite))
        .await;
    assert_eq!(
        database
            .write("delete", |store| store.delete(1, None))
            .await,
        Ok(Outcome::Missing)
    );
}
