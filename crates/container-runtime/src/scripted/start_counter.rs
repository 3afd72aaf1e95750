//! The numbers API's count of its starts, in its log and in a file on a volume, which outlives the container.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;

use crate::{ContainerConfig, LogLine};

/// Environment variable with the path of the file.
const STARTS_FILE_VARIABLE: &str = "STARTS_FILE";

/// Returns the log of a container that has started; empty if the variable is not set.
pub(super) fn log(
    config: &ContainerConfig,
    volumes: &mut BTreeMap<String, BTreeMap<String, Bytes>>,
    at: Timestamp,
) -> Vec<LogLine> {
    let file = config
        .env
        .iter()
        .find(|(name, _)| name == STARTS_FILE_VARIABLE);
    let Some((_, file)) = file else {
        return Vec::new();
    };
    let starts = file_on_volume(config, file, volumes).map_or(1, |content| {
        let mut lines = content.to_vec();
        lines.extend_from_slice(b"started\n");
        *content = lines.into();
        content.iter().filter(|byte| **byte == b'\n').count()
    });
    let text = format!("INFO numbers_api: started starts={starts}\n");
    vec![LogLine {
        at,
        text: text.into(),
    }]
}

/// Returns the content of the file, if it is on a mounted volume.
fn file_on_volume<'a>(
    config: &ContainerConfig,
    file: &str,
    volumes: &'a mut BTreeMap<String, BTreeMap<String, Bytes>>,
) -> Option<&'a mut Bytes> {
    let mut mounts = config.mounts.iter();
    let (volume, path) = mounts.find_map(|mount| {
        let below = file.strip_prefix(&mount.path)?.strip_prefix('/')?;
        Some((&mount.volume, below.to_owned()))
    })?;
    Some(volumes.get_mut(volume)?.entry(path).or_default())
}
