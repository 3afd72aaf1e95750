//! The watch on a paused clock, over a store that does what it is told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use http_service::Metrics;
use tokio::time::{Instant, advance};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Database, PERIOD, State};
use crate::item::{Item, Text};
use crate::store::{Access, Change, Connections, Count, Created, Store, StoreError};

/// Answers everything alike, and remembers when it was asked.
struct Scripted {
    answer: Mutex<Result<Access, StoreError>>,
    asked: Mutex<Vec<Instant>>,
}

impl Scripted {
    fn tell(&self, answer: Result<Access, StoreError>) {
        *self.answer.lock().unwrap() = answer;
    }

    fn answer(&self) -> Result<Access, StoreError> {
        self.answer.lock().unwrap().clone()
    }

    fn asked(&self) -> Vec<Instant> {
        self.asked.lock().unwrap().clone()
    }
}

#[async_trait]
impl Store for Scripted {
    async fn prepare(&self) -> Result<Access, StoreError> {
        self.asked.lock().unwrap().push(Instant::now());
        self.answer()
    }

    async fn count(&self) -> Result<Count, StoreError> {
        self.answer().map(|_| Count { open: 0, all: 0 })
    }

    async fn list(&self, _: Option<i64>, _: u16) -> Result<Vec<Item>, StoreError> {
        Err(StoreError::Failed("nobody asks".to_owned()))
    }

    async fn get(&self, _: i64) -> Result<Option<Item>, StoreError> {
        Err(StoreError::Failed("nobody asks".to_owned()))
    }

    async fn create(&self, _: &Text, _: Option<&str>) -> Result<Created, StoreError> {
        Err(StoreError::Failed("nobody asks".to_owned()))
    }

    async fn change(&self, _: i64, _: &Change) -> Result<Option<Item>, StoreError> {
        Err(StoreError::Failed("nobody asks".to_owned()))
    }

    async fn delete(&self, _: i64) -> Result<bool, StoreError> {
        self.answer().map(|_| true)
    }

    fn connections(&self) -> Connections {
        Connections::default()
    }
}

fn away() -> StoreError {
    StoreError::Unavailable("away".to_owned())
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

/// A watch that has just begun, over a store with this answer.
fn watched(answer: Result<Access, StoreError>) -> (Arc<Scripted>, Arc<Database>, DropGuard) {
    let store = Arc::new(Scripted {
        answer: Mutex::new(answer),
        asked: Mutex::default(),
    });
    let database = Arc::new(Database::new(store.clone(), &Metrics::default(), false));
    let ended = CancellationToken::new();
    tokio::spawn(database.clone().watch(ended.clone()));
    (store, database, ended.drop_guard())
}

#[tokio::test(start_paused = true)]
async fn a_database_that_is_back_is_found_within_a_second_however_long_it_was_away() {
    for outage in [0, 1, 7, 60, 3600] {
        let (store, database, _watch) = watched(Err(away()));
        database.until(down).await;
        tokio::time::sleep(Duration::from_secs(outage)).await;
        store.tell(Ok(Access::ReadWrite));
        let back = Instant::now();
        database.until(up).await;
        assert!(back.elapsed() <= Duration::from_secs(1), "{outage}");
        let asked = store.asked();
        let longest = asked.windows(2).map(|pair| pair[1] - pair[0]).max();
        assert!(longest <= Some(Duration::from_millis(1001)), "{longest:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_answers_is_asked_now_and_then() {
    let (store, database, _watch) = watched(Ok(Access::ReadWrite));
    database.until(up).await;
    tokio::time::sleep(PERIOD * 3).await;
    let asked = store.asked();
    assert!(asked.windows(2).all(|pair| pair[1] - pair[0] == PERIOD));
    assert!((3..=4).contains(&asked.len()), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn the_first_request_to_fail_spares_the_others_the_wait_and_wakes_the_watch() {
    let (store, database, _watch) = watched(Ok(Access::ReadWrite));
    database.until(up).await;
    advance(PERIOD / 2).await;
    store.tell(Err(away()));
    let failed = Instant::now();
    assert_eq!(
        database.read("count", |store| store.count()).await,
        Err(away())
    );
    assert!(down(&database.state()));
    let refused = database.read("count", |_| async { Ok(()) }).await;
    assert!(
        matches!(refused, Err(StoreError::Unavailable(_))),
        "{refused:?}"
    );
    store.tell(Ok(Access::ReadOnly));
    database.until(up).await;
    assert_eq!(store.asked().last(), Some(&failed));
    assert_eq!(database.access(), Access::ReadOnly);
}

#[tokio::test(start_paused = true)]
async fn a_busy_database_is_not_given_up() {
    let (store, database, _watch) = watched(Ok(Access::ReadWrite));
    database.until(up).await;
    store.tell(Err(busy()));
    assert_eq!(
        database.read("count", |store| store.count()).await,
        Err(busy())
    );
    tokio::time::sleep(PERIOD * 2).await;
    assert!(
        up(&database.state()),
        "it was not even asked: {:?}",
        database.state()
    );

    let (_, database, _watch) = watched(Err(busy()));
    database.until(down).await;
}

#[tokio::test(start_paused = true)]
async fn a_change_that_is_refused_turns_the_list_read_only_until_the_watch_knows_better() {
    let (store, database, _watch) = watched(Ok(Access::ReadWrite));
    database.until(up).await;
    store.tell(Err(StoreError::ReadOnly));
    let refused = database.write("delete", |store| store.delete(1)).await;
    assert_eq!(refused, Err(StoreError::ReadOnly));
    assert_eq!(database.state(), State::Up(Access::ReadOnly));
    store.tell(Ok(Access::ReadWrite));
    database
        .until(|state| *state == State::Up(Access::ReadWrite))
        .await;
    assert_eq!(
        database.write("delete", |store| store.delete(1)).await,
        Ok(true)
    );
}
