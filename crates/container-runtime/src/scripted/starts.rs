//! The numbers API's count of its starts: in a file on a volume, which outlives the container, and in its log.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;

use crate::{ContainerConfig, LogLine};

/// The variable that names the file.
const FILE: &str = "STARTS_FILE";

/// What a container says of its start; nothing unless it is told to count.
pub(super) fn log(
    config: &ContainerConfig,
    volumes: &mut BTreeMap<String, BTreeMap<String, Bytes>>,
    at: Timestamp,
) -> Vec<LogLine> {
    let file = config.env.iter().find(|(name, _)| name == FILE);
    let Some((_, file)) = file else {
        return Vec::new();
    };
    let starts = on_volume(config, file, volumes).map_or(1, |content| {
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

/// The file, if a volume is mounted where it lies.
fn on_volume<'a>(
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
