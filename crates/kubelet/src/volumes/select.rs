//! Which keys of an object become files of a volume, where, and with which mode.

use std::collections::BTreeMap;

use bytes::Bytes;
use container_runtime::Files;
use k8s_openapi::api::core::v1::KeyToPath;

use super::VolumeError;

/// The mode of a file that names none.
const MODE: i32 = 0o644;

/// Which keys of an object become files.
pub(super) struct Keys<'a> {
    pub(super) items: Option<&'a [KeyToPath]>,
    pub(super) mode: Option<i32>,
    pub(super) optional: Option<bool>,
}

/// All keys under their own names, or the chosen ones at their paths.
pub(super) fn select(
    volume: &str,
    kind: &'static str,
    data: &BTreeMap<String, Bytes>,
    keys: &Keys<'_>,
) -> Result<Files, VolumeError> {
    let Some(items @ [_, ..]) = keys.items else {
        let mode = bits(None, keys.mode);
        let all = data.iter();
        return Ok(all
            .map(|(key, bytes)| (key.clone(), (bytes.clone(), mode)))
            .collect());
    };
    let mut files = Files::new();
    for item in items {
        let path = inside(volume, &item.path)?;
        match data.get(&item.key) {
            Some(bytes) => {
                files.insert(path, (bytes.clone(), bits(item.mode, keys.mode)));
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

pub(super) fn inside(volume: &str, path: &str) -> Result<String, VolumeError> {
    if stays_inside(path) {
        return Ok(path.to_owned());
    }
    Err(VolumeError::Escapes {
        volume: volume.to_owned(),
        path: path.to_owned(),
    })
}

/// A file's mode: its own, or the volume's.
pub(super) fn bits(own: Option<i32>, of_volume: Option<i32>) -> u32 {
    let mode = own.or(of_volume).unwrap_or(MODE);
    u32::try_from(mode).unwrap_or(0) & 0o777
}

/// Whether a relative path names a file below where it begins, and none that the runtime makes beside the files.
fn stays_inside(path: &str) -> bool {
    !path.is_empty()
        && !path.starts_with("..")
        && path
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..")
}

#[cfg(test)]
mod tests;
