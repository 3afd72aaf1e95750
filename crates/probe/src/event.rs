//! Events about containers.

use crate::prober::ProbeTarget;

/// Receives the events that a kubelet records for probes.
pub trait EventSink: Send + Sync + 'static {
    /// Records one event of type `Warning` about `target`. Called from a worker, so it must not block.
    fn warning(&self, target: &ProbeTarget, reason: &'static str, message: String);
}
