//! Selects the keys of an object that become files of a volume, with their paths and modes.

use std::collections::BTreeMap;

use bytes::Bytes;
use container_runtime::Files;
use k8s_openapi::api::core::v1::KeyToPath;

use super::VolumeError;

/// Mode of a file if neither the item nor the volume sets one.
const DEFAULT_FILE_MODE: i32 = 0o644;

/// Selection of an object's keys: `items`, `defaultMode` and `optional` of a volume source.
pub(super) struct KeySelection<'a> {
    pub(super) items: Option<&'a [KeyToPath]>,
    pub(super) mode: Option<i32>,
    pub(super) optional: Option<bool>,
}

/// Returns the selected keys as files at their paths, or all keys as files of the same name if `items` is empty.
///
/// # Errors
/// If a key does not exist and the source is not optional, or if a path is not inside the volume.
pub(super) fn select_keys(
    volume: &str,
    kind: &'static str,
    data: &BTreeMap<String, Bytes>,
    keys: &KeySelection<'_>,
) -> Result<Files, VolumeError> {
    let Some(items @ [_, ..]) = keys.items else {
        let mode = file_mode(None, keys.mode);
        let all = data.iter();
        return Ok(all
            .map(|(key, bytes)| (key.clone(), (bytes.clone(), mode)))
            .collect());
    };
    let mut files = Files::new();
    for item in items {
        let path = checked_path(volume, &item.path)?;
        match data.get(&item.key) {
            Some(bytes) => {
                files.insert(path, (bytes.clone(), file_mode(item.mode, keys.mode)));
            }
            None if keys.optional == Some(true) => {}
            None => {
                return Err(VolumeError::MissingKey {
                    volume: volume.to_owned(),
                    kind: kind.trim_end_matches("map"),
                    key: item.key.clone(),
                });
            }
        }
    }
    Ok(files)
}

/// Returns `path`.
///
/// # Errors
/// If the path is not inside the volume.
pub(super) fn checked_path(volume: &str, path: &str) -> Result<String, VolumeError> {
    if is_inside_volume(path) {
        return Ok(path.to_owned());
    }
    Err(VolumeError::Escapes {
        volume: volume.to_owned(),
        path: path.to_owned(),
    })
}

/// Returns a file's mode: the item's, or else the volume's.
pub(super) fn file_mode(item: Option<i32>, volume: Option<i32>) -> u32 {
    let mode = item.or(volume).unwrap_or(DEFAULT_FILE_MODE);
    u32::try_from(mode).unwrap_or(0) & 0o777
}

/// Returns `true` if the path is relative and stays inside the volume. Paths that begin with `..` are reserved for the
/// runtime's atomic writer.
fn is_inside_volume(path: &str) -> bool {
    !path.is_empty()
        && !path.starts_with("..")
        && path
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..")
}

#[cfg(test)]
mod tests;
