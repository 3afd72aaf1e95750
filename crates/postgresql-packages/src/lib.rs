//! PostgreSQL from the distribution's packages: into a user's cache without root, or into the root of an image.
//!
//! Debian, Ubuntu and their derivatives only: apt downloads, and verifies signatures and checksums, with lists and
//! archives in private directories; dpkg-deb unpacks. Nothing is installed.

mod apt;
mod cache;
mod command;
mod dpkg;
mod error;
mod files;
mod packages;
mod programs;
mod root;

pub use cache::provide;
pub use error::Error;
pub use root::build as build_root;
