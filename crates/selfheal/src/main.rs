//! selfheal
fn main() {}
