//! A connection to a socket in the file system, closed at once, which the kubelet cannot make.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::time::{Instant, timeout};

use crate::outcome::{Outcome, Reason, Verdict};
use crate::text;

/// Connects to `path` within `timeout`; one that begins with `@` is in no file system. Every failure is the target's.
pub async fn probe(path: &Path, within: Duration) -> Outcome {
    let start = Instant::now();
    let (verdict, reason, output) = match timeout(within, UnixStream::connect(address(path))).await
    {
        Ok(Ok(_closed_by_drop)) => (Verdict::Success, None, String::new()),
        Ok(Err(error)) => {
            let reason = match error.kind() {
                std::io::ErrorKind::ConnectionRefused => Reason::Refused,
                _ => Reason::Other,
            };
            let why = text::os_error(&error);
            let text = format!("dial unix {}: connect: {why}", path.display());
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

/// The kernel's name for a socket without a file begins with a zero byte.
fn address(path: &Path) -> std::path::PathBuf {
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

    const ENOUGH: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn a_listener_is_healthy_with_a_file_or_without() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let _file = tokio::net::UnixListener::bind(&path).unwrap();
        assert_eq!(probe(&path, ENOUGH).await.verdict, Verdict::Success);
        let name = format!("@probe-test-{}", std::process::id());
        let _none = tokio::net::UnixListener::bind(address(Path::new(&name))).unwrap();
        assert_eq!(
            probe(Path::new(&name), ENOUGH).await.verdict,
            Verdict::Success
        );
    }

    #[tokio::test]
    async fn a_socket_that_nobody_listens_at_is_a_failure() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let missing = probe(&path, ENOUGH).await;
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
        let refused = probe(&path, ENOUGH).await;
        assert_eq!(refused.reason, Some(Reason::Refused));
    }
}
