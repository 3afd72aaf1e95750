//! Helpers that components of the Kubernetes node share: informers, work queues, events, supervision, labels, quantities.

use std::net::Ipv4Addr;

pub mod controller;
pub mod events;
pub mod informer;
pub mod informers;
pub mod labels;
pub mod load_balancer;
pub mod pods;
pub mod quantity;
pub mod supervisor;
pub mod time;
pub mod work_queue;

/// Version of Kubernetes whose behaviour the components have.
pub const VERSION: &str = "v1.36.0";

/// Address of the cluster's DNS service, which is the one that kubeadm's clusters have.
pub const CLUSTER_DNS: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);
