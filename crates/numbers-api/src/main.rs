//! numbers-api
fn main() {}
