//! The kubelet's rules: what to do about a container, and how a pod is said to be.
//!
//! Everything here is pure: time, exits and probe results come in as values, so that whoever runs pods decides when.

pub mod actions;
pub mod instance;
pub mod status;
