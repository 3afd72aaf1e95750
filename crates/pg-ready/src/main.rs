//! pg-ready
fn main() {}
