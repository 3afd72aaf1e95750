//! What the engine has to say to people.

use crate::prober::Target;

/// Takes events about containers.
pub trait EventSink: Send + Sync + 'static {
    /// Passes on one `Warning` event about a container; it must not block.
    fn warning(&self, target: &Target, reason: &'static str, message: String);
}
