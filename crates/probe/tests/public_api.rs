//! Snapshot of the library's public API.

#![cfg(unix)]

use test_support::public_api::assert_public_api_matches_snapshot;

#[test]
fn public_api_matches_the_snapshot() {
    assert_public_api_matches_snapshot(
        env!("CARGO_PKG_NAME"),
        env!("CARGO_MANIFEST_DIR"),
        env!("CARGO_TARGET_TMPDIR"),
    );
}
