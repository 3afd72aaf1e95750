//! The Kubernetes API server: an object store, its REST API with validation, watches and discovery, served over TLS.
//!
//! Everything above it is a Kubernetes client: it hands out a [`kube::Client`] that calls its router without a socket.

pub mod api;
pub mod kinds;
pub mod serve;
pub mod store;
