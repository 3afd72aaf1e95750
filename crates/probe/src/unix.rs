//! The Unix socket probe, which the kubelet does not have: connects and closes the connection immediately.

use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::time::Instant;
use tokio::time::error::Elapsed;

use crate::go_format;
use crate::outcome::{Outcome, Reason, Verdict};

/// Connects to `path`; one that starts with `@` is the name of an abstract socket. Each error is a failure of the target.
pub async fn probe(path: &Path, timeout: Duration) -> Outcome {
    let start = Instant::now();
    let (verdict, reason, output) = match connect(path, timeout).await {
        Ok(Ok(_closed_on_drop)) => (Verdict::Success, None, String::new()),
        Ok(Err(error)) => {
            let reason = match error.kind() {
                std::io::ErrorKind::ConnectionRefused => Reason::Refused,
                _ => Reason::Other,
            };
            let cause = go_format::os_error(&error);
            let text = format!("dial unix {}: connect: {cause}", path.display());
            (Verdict::Failure, Some(reason), text)
        }
        Err(_) => {
            let text = format!("dial unix {}: i/o timeout", path.display());
            (Verdict::Failure, Some(Reason::ConnectTimeout), text)
        }
    };
    Outcome {
        verdict,
        reason,
        output,
        took: start.elapsed(),
    }
}

async fn connect(path: &Path, timeout: Duration) -> Result<io::Result<UnixStream>, Elapsed> {
    tokio::time::timeout(timeout, UnixStream::connect(socket_address(path))).await
}

/// Returns the address that the kernel uses: the name of an abstract socket starts with a zero byte.
fn socket_address(path: &Path) -> std::path::PathBuf {
    match path.as_os_str().as_bytes().split_first() {
        Some((b'@', rest)) => {
            let name = [b"\0", rest].concat();
            Path::new(std::ffi::OsStr::from_bytes(&name)).to_owned()
        }
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn listener_with_a_file_or_an_abstract_name_is_healthy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let _path_listener = tokio::net::UnixListener::bind(&path).unwrap();
        assert_eq!(probe(&path, TIMEOUT).await.verdict, Verdict::Success);
        let name = format!("@probe-test-{}", std::process::id());
        let _abstract_listener =
            tokio::net::UnixListener::bind(socket_address(Path::new(&name))).unwrap();
        assert_eq!(
            probe(Path::new(&name), TIMEOUT).await.verdict,
            Verdict::Success
        );
    }

    #[tokio::test]
    async fn socket_without_a_listener_is_a_failure() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let missing = probe(&path, TIMEOUT).await;
        assert_eq!(
            (missing.verdict, missing.reason),
            (Verdict::Failure, Some(Reason::Other))
        );
        assert!(
            missing
                .output
                .ends_with("s: connect: no such file or directory"),
            "{}",
            missing.output
        );
        drop(tokio::net::UnixListener::bind(&path).unwrap());
        let refused = probe(&path, TIMEOUT).await;
        assert_eq!(refused.reason, Some(Reason::Refused));
    }
}
