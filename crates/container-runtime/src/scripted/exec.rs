//! Commands in scripted containers, and the files of their volumes.

use std::collections::BTreeMap;
use std::io::Cursor;

use bytes::Bytes;
use futures::FutureExt as _;

use super::State;
use super::workload::{ScriptedExec, base_name};
use crate::{ContainerId, ExecResult, ExecSession, RuntimeError, SandboxId, VolumeSource};

/// Returns the initial files of a volume.
pub(super) fn volume_files(source: VolumeSource) -> BTreeMap<String, Bytes> {
    match source {
        VolumeSource::EmptyDir { .. } => BTreeMap::new(),
        VolumeSource::Files(files) => files
            .into_iter()
            .map(|(path, (content, _))| (path, content))
            .collect(),
    }
}

/// Returns the session of a command that has exited.
pub(super) fn finished_session(result: ExecResult) -> ExecSession {
    ExecSession {
        stdin: None,
        stdout: Box::new(Cursor::new(result.stdout)),
        stderr: Some(Box::new(Cursor::new(result.stderr))),
        resize: None,
        exit: std::future::ready(Ok(result.code)).boxed(),
    }
}

impl State {
    /// Runs a command: one of the workload's, or `cat FILE` or `touch FILE` on a volume.
    pub(super) fn exec(
        &mut self,
        container: &ContainerId,
        command: &[String],
    ) -> Result<ExecResult, RuntimeError> {
        let instance = self
            .instances
            .get(container)
            .filter(|instance| instance.is_running());
        let instance = instance.ok_or_else(|| RuntimeError::NotFound(container.0.clone()))?;
        let program = base_name(command.first().map_or("", String::as_str)).to_owned();
        let sandbox = instance.sandbox.clone();
        if let Some((_, exec)) = instance
            .workload
            .execs
            .iter()
            .find(|(name, _)| *name == program)
        {
            let (code, output) = match exec {
                ScriptedExec::Fixed(code, output) => (*code, output),
                ScriptedExec::IfListening {
                    port, listening, ..
                } if self.is_listening(&sandbox, *port) => (listening.0, &listening.1),
                ScriptedExec::IfListening { refused, .. } => (refused.0, &refused.1),
            };
            return Ok(ExecResult {
                code,
                stdout: Bytes::from(output.clone()),
                stderr: Bytes::new(),
            });
        }
        let file = command.get(1).and_then(|path| self.locate(container, path));
        Ok(match (program.as_str(), file) {
            ("touch", Some((volume, path))) => self.touch(&sandbox, &volume, path),
            ("cat", Some((volume, path))) => self.cat(&sandbox, &volume, &path),
            _ => failed(127, &format!("{program}: not found")),
        })
    }

    /// Returns the volume that is mounted at a container's path, and the path inside it.
    fn locate(&self, container: &ContainerId, path: &str) -> Option<(String, String)> {
        self.instances
            .get(container)?
            .mounts
            .iter()
            .find_map(|mount| {
                let inside = path
                    .strip_prefix(mount.path.trim_end_matches('/'))?
                    .strip_prefix('/')?;
                let path = mount
                    .sub_path
                    .as_ref()
                    .map_or_else(|| inside.to_owned(), |sub| format!("{sub}/{inside}"));
                Some((mount.volume.clone(), path))
            })
    }

    fn touch(&mut self, sandbox: &SandboxId, volume: &str, path: String) -> ExecResult {
        let files = self
            .sandboxes
            .get_mut(sandbox)
            .and_then(|sandbox| sandbox.volumes.get_mut(volume));
        match files {
            Some(files) => {
                files.entry(path).or_default();
                ExecResult::default()
            }
            None => failed(1, "touch: no such volume"),
        }
    }

    fn cat(&self, sandbox: &SandboxId, volume: &str, path: &str) -> ExecResult {
        let files = self
            .sandboxes
            .get(sandbox)
            .and_then(|sandbox| sandbox.volumes.get(volume));
        match files.and_then(|files| files.get(path)) {
            Some(content) => ExecResult {
                stdout: content.clone(),
                ..ExecResult::default()
            },
            None => failed(1, "cat: no such file"),
        }
    }
}

fn failed(code: i32, why: &str) -> ExecResult {
    ExecResult {
        code,
        stdout: Bytes::new(),
        stderr: Bytes::from(format!("{why}\n")),
    }
}
