//! Does what an action is to do.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicI32, Ordering};

use async_trait::async_trait;
use probe::{Verdict, exec};
use tokio_util::sync::CancellationToken;

use super::{process, webhook};
use crate::spec::Deed;

/// Whoever does things. What it did, or why it could not, is for the audit log.
#[async_trait]
pub trait Hands: Send + Sync + 'static {
    /// Does one thing; `story` is what happened, in JSON.
    async fn act(&self, deed: &Deed, story: &str) -> Result<String, String>;
}

/// Does things from this process.
#[derive(Debug)]
pub struct Own {
    end: CancellationToken,
    code: AtomicI32,
}

impl Own {
    /// Ends the sidecar by `end`.
    #[must_use]
    pub fn new(end: CancellationToken) -> Self {
        Self {
            end,
            code: AtomicI32::new(-1),
        }
    }

    /// The exit code that an action chose.
    #[must_use]
    pub fn exit_code(&self) -> Option<u8> {
        u8::try_from(self.code.load(Ordering::Relaxed)).ok()
    }
}

#[async_trait]
impl Hands for Own {
    async fn act(&self, deed: &Deed, story: &str) -> Result<String, String> {
        match deed {
            Deed::Signal {
                signal, process, ..
            } => {
                let (process, signal) = (process.clone(), *signal);
                // A machine has many processes, and probes share this thread.
                let sent = tokio::task::spawn_blocking(move || process::signal(&process, signal));
                let sent = sent.await.map_err(|error| error.to_string())?;
                let sent = sent.map_err(|error| error.to_string())?;
                Ok(format!("signalled {sent:?}"))
            }
            Deed::Exit(code) => {
                self.code.store((*code).into(), Ordering::Relaxed);
                self.end.cancel();
                Ok("ending".to_owned())
            }
            Deed::Exec { command, timeout } => match exec::probe(command, *timeout).await {
                Ok(outcome) if outcome.verdict == Verdict::Success => Ok(outcome.output),
                Ok(outcome) => Err(format!("{:?}: {}", outcome.reason, outcome.output)),
                Err(error) => Err(error.to_string()),
            },
            Deed::Webhook {
                url,
                headers,
                timeout,
                tls,
            } => webhook::post(url, headers, tls.as_ref(), story.to_owned(), *timeout)
                .await
                .map_err(|error| error.to_string()),
            Deed::WriteFile { path, content } => {
                let content = content.clone().unwrap_or_else(|| format!("{story}\n"));
                write(path, &content).map_err(|error| format!("{}: {error}", path.display()))?;
                Ok("written".to_owned())
            }
        }
    }
}

/// Whoever reads the file sees the old one or the new one.
fn write(path: &Path, content: &str) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let mut file = fs::File::create(&name)?;
    file.write_all(content.as_bytes())?;
    fs::rename(&name, path)
}
