//! A Kubernetes node in one process: API, controllers, kubelet; pods are local processes.
//!
//! Everything above the API is a Kubernetes client: the controllers and the kubelet are given a
//! [`kube::Client`] that speaks to the API router in this process, and none of them calls another.

pub mod api;
pub mod controllers;
pub mod events;
pub mod kinds;
pub mod kubelet;
mod labels;
pub mod node;
#[cfg(target_os = "linux")]
pub mod proxy;
mod quantity;
pub mod runtime;
pub mod serve;
pub mod store;
pub mod supervisor;
#[cfg(target_os = "linux")]
pub mod up;
