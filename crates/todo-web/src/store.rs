//! Storage of items: one trait, two implementations.

use async_trait::async_trait;

use crate::item::{Item, Text};

pub mod postgres;
pub mod sqlite;

/// Storage of items. Every call ends within the store's own time limit.
#[async_trait]
pub trait Store: Send + Sync {
    /// Migrates the schema, which replicas may do concurrently, and checks that items can be read. Returns the access that
    /// the database allows.
    async fn prepare(&self) -> Result<Access, StoreError>;
    /// Counts the items.
    async fn count(&self) -> Result<Count, StoreError>;
    /// Returns the newest `limit` items older than `before`.
    async fn list(&self, before: Option<i64>, limit: u16) -> Result<Vec<Item>, StoreError>;
    /// Returns an item.
    async fn get(&self, id: i64) -> Result<Option<Item>, StoreError>;
    /// Adds an item, or returns the one that was added with the same key and text before.
    async fn create(&self, text: &Text, key: Option<&str>) -> Result<Created, StoreError>;
    /// Changes an item if it has the expected version.
    async fn change(&self, id: i64, change: &Change) -> Result<Outcome<Item>, StoreError>;
    /// Deletes an item if it has the expected version; returns the deleted item.
    async fn delete(&self, id: i64, version: Option<i64>) -> Result<Outcome<Item>, StoreError>;
    /// Returns the number of connections.
    fn connections(&self) -> Connections;
}

/// Permitted operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading and changing items.
    ReadWrite,
    /// Reading items.
    ReadOnly,
}

/// Number of items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// Items that are not done.
    pub open: i64,
    /// All items.
    pub all: i64,
}

/// Result of [`Store::create`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    /// The item was added.
    New(Item),
    /// The item was added by an earlier request with the same key.
    Existing(Item),
    /// An earlier request used the key for another text.
    KeyReused,
}

impl Created {
    /// Compares the request with the first one of its key. Items of older versions have no text of the first request.
    fn existing(item: Item, first_text: Option<&str>, text: &Text) -> Self {
        match first_text {
            Some(first) if first != text.as_str() => Self::KeyReused,
            _ => Self::Existing(item),
        }
    }
}

/// Change of an item. Fields that are `None` stay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// New text.
    pub text: Option<Text>,
    /// New state.
    pub done: Option<bool>,
    /// Version that the item has to have; `None` accepts any.
    pub version: Option<i64>,
}

/// Result of a change of one item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<T> {
    /// The change was made.
    Done(T),
    /// The item does not exist.
    Missing,
    /// The item has another version, and was not changed.
    Conflict(Item),
}

/// Number of connections to the database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// Open connections.
    pub open: usize,
    /// Open connections that are not in use.
    pub idle: usize,
    /// Calls that wait for a connection.
    pub waiting: usize,
}

/// Error of a store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached, or rejects connections. Nothing was changed.
    #[error("the database does not answer: {0}")]
    Unavailable(String),
    /// The connection was lost before the response to a statement. A change may have been made.
    #[error("the database did not answer in time: {0}")]
    Uncertain(String),
    /// The database is available, but has no free connection, or cancelled the statement. Nothing was changed.
    #[error("the database is too busy: {0}")]
    Busy(String),
    /// A prepared statement is no longer valid. Nothing was changed, and a retry on a new connection may succeed.
    #[error("the database changed: {0}")]
    Stale(String),
    /// The database rejects changes.
    #[error("the database is read-only")]
    ReadOnly,
    /// The database has no disk space. Nothing was changed.
    #[error("the database is full: {0}")]
    Full(String),
    /// Any other error of the database. Nothing was changed.
    #[error("the database failed: {0}")]
    Failed(String),
}

/// One step of the schema. Steps are never changed after a release.
struct Migration {
    version: i32,
    sql: &'static str,
}
