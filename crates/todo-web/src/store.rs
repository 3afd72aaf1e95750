//! Where items are kept: one trait, two stores.

use async_trait::async_trait;

use crate::item::{Item, Text};

pub mod postgres;
pub mod sqlite;

/// Keeps items. Every call ends within the store's own time limit.
#[async_trait]
pub trait Store: Send + Sync {
    /// Brings the schema up to date; several may do so at once. Says whether items may be changed.
    async fn prepare(&self) -> Result<Access, StoreError>;
    /// How many items are not done, and how many there are.
    async fn count(&self) -> Result<Count, StoreError>;
    /// The newest `limit` items older than `before`.
    async fn list(&self, before: Option<i64>, limit: u16) -> Result<Vec<Item>, StoreError>;
    /// One item.
    async fn get(&self, id: i64) -> Result<Option<Item>, StoreError>;
    /// Adds an item, or finds the one that was added with the same key before.
    async fn create(&self, text: &Text, key: Option<&str>) -> Result<Created, StoreError>;
    /// Changes an item; none if there is none.
    async fn change(&self, id: i64, change: &Change) -> Result<Option<Item>, StoreError>;
    /// Whether there was one to delete.
    async fn delete(&self, id: i64) -> Result<bool, StoreError>;
    /// How many connections are open and how many of them are in use.
    fn connections(&self) -> Connections;
}

/// What may be done with items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everything.
    ReadWrite,
    /// Looking at them.
    ReadOnly,
}

/// How many items there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// Still to do.
    pub open: i64,
    /// All of them.
    pub all: i64,
}

/// An item that is there now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// The item.
    pub item: Item,
    /// Whether it is new.
    pub new: bool,
}

/// What is to be different; what is none stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// What is to be done.
    pub text: Option<Text>,
    /// Whether it is done.
    pub done: Option<bool>,
}

/// What a pool holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// Open.
    pub open: usize,
    /// Of these, not in use.
    pub idle: usize,
    /// Callers that wait for one.
    pub waiting: usize,
}

/// Why a store did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, or did not answer at all.
    #[error("the database does not answer: {0}")]
    Unavailable(String),
    /// It answers, and did not get to this: no place for another connection, or no end of the statement in time.
    #[error("the database is too busy: {0}")]
    Busy(String),
    /// A statement that was prepared before is no longer accepted. Nothing was changed; the next try may succeed.
    #[error("the database changed: {0}")]
    Stale(String),
    /// It takes no changes.
    #[error("the database is read-only")]
    ReadOnly,
    /// It has no room.
    #[error("the database is full: {0}")]
    Full(String),
    /// It answered with something else.
    #[error("the database failed: {0}")]
    Failed(String),
}

/// The steps from nothing to today's schema, each made once and never changed again.
struct Migration {
    version: i32,
    sql: &'static str,
}
