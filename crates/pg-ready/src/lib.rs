//! Is PostgreSQL ready? pg_isready's contract, and what pg_isready cannot tell.
//!
//! [`probe()`] answers the question for other programs: asynchronous, cancellable, with one deadline, no global state.
//! [`request`] says what is asked of whom, [`check`] what more than an answer is asked for, [`report`] and [`state`]
//! what came of it.
//!
//! [`conninfo`] and [`target`] say whom to ask, [`protocol`] what to send and what an answer means, [`ping`] asks the
//! contract's question over blocking sockets, [`cli`] is the command line.

pub mod check;
pub mod cli;
pub mod conninfo;
pub mod guard;
pub mod password;
mod peer;
pub mod ping;
mod probe;
pub mod program;
pub mod protocol;
pub mod report;
pub mod request;
pub mod service_file;
pub mod state;
pub mod target;
pub mod tls;
pub mod verdict;
pub mod wait;

pub use probe::probe;
pub use report::Report;
pub use request::Request;
