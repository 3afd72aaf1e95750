//! Is PostgreSQL ready? pg_isready's contract, as a small program without libpq.
//!
//! [`conninfo`] and [`target`] say whom to ask, [`protocol`] what to send and what an answer means, [`ping`] does it,
//! [`cli`] is pg_isready's command line.

pub mod cli;
pub mod conninfo;
pub mod ping;
pub mod protocol;
pub mod target;
pub mod verdict;
