//! A pod's volumes with their content fetched, so that the runtime needs the API no more.

use std::collections::BTreeMap;

use bytes::Bytes;
use k8s_openapi::api::core::v1::{ConfigMap, KeyToPath, Pod, Secret, Volume as Declared};
use kube::{Api, Client};

use crate::runtime::{Volume, VolumeSource};

/// The mode of a file that names none.
const MODE: i32 = 0o644;

/// Why a volume cannot be made yet.
#[derive(Debug, thiserror::Error)]
pub(super) enum VolumeError {
    /// It names an object that is not there.
    #[error("MountVolume.SetUp failed for volume {volume:?} : {kind} {name:?} not found")]
    Missing {
        volume: String,
        kind: &'static str,
        name: String,
    },
    /// It names a key that the object does not have.
    #[error(
        "MountVolume.SetUp failed for volume {volume:?} : references non-existent config key: {key}"
    )]
    MissingKey { volume: String, key: String },
    /// A file would lie outside the volume.
    #[error("MountVolume.SetUp failed for volume {volume:?} : path {path:?} leaves the volume")]
    Escapes { volume: String, path: String },
    /// Not a kind of volume that this node has.
    #[error("volume {0:?} is of a kind that this node does not have")]
    Unsupported(String),
    /// The API did not answer.
    #[error(transparent)]
    Api(#[from] kube::Error),
}

/// Fetches what the volumes of `pod` contain.
pub(super) async fn resolve(client: &Client, pod: &Pod) -> Result<Vec<Volume>, VolumeError> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let mut volumes = Vec::new();
    for declared in pod
        .spec
        .iter()
        .flat_map(|spec| spec.volumes.iter().flatten())
    {
        let source = source(client, namespace, declared).await?;
        volumes.push(Volume {
            name: declared.name.clone(),
            source,
        });
    }
    Ok(volumes)
}

/// A quantity in bytes; none where it is no number, or none above zero.
fn bytes(quantity: &str) -> Option<u64> {
    let end = quantity
        .find(|letter: char| !letter.is_ascii_digit() && letter != '.')
        .unwrap_or(quantity.len());
    let number: f64 = quantity[..end].parse().ok()?;
    let power = |base: f64, power: i32| base.powi(power);
    let unit = match &quantity[end..] {
        "" => 1.0,
        "k" => power(1e3, 1),
        "M" => power(1e3, 2),
        "G" => power(1e3, 3),
        "T" => power(1e3, 4),
        "Ki" => power(1024.0, 1),
        "Mi" => power(1024.0, 2),
        "Gi" => power(1024.0, 3),
        "Ti" => power(1024.0, 4),
        _ => return None,
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative, and too much is as good as no limit"
    )]
    let bytes = (number * unit) as u64;
    (bytes > 0).then_some(bytes)
}

async fn source(
    client: &Client,
    namespace: &str,
    volume: &Declared,
) -> Result<VolumeSource, VolumeError> {
    if let Some(empty) = &volume.empty_dir {
        let size_limit = empty.size_limit.as_ref().and_then(|limit| bytes(&limit.0));
        return Ok(VolumeSource::EmptyDir { size_limit });
    }
    let (kind, name, optional, items, mode, data) = if let Some(map) = &volume.config_map {
        let found = Api::<ConfigMap>::namespaced(client.clone(), namespace)
            .get_opt(&map.name)
            .await?;
        (
            "configmap",
            &map.name,
            map.optional,
            &map.items,
            map.default_mode,
            found.map(config_map_data),
        )
    } else if let Some(secret) = &volume.secret {
        let name = secret
            .secret_name
            .as_ref()
            .ok_or_else(|| VolumeError::Unsupported(volume.name.clone()))?;
        let found = Api::<Secret>::namespaced(client.clone(), namespace)
            .get_opt(name)
            .await?;
        (
            "secret",
            name,
            secret.optional,
            &secret.items,
            secret.default_mode,
            found.map(secret_data),
        )
    } else {
        return Err(VolumeError::Unsupported(volume.name.clone()));
    };
    match data {
        Some(data) => files(
            &volume.name,
            &data,
            items.as_deref(),
            mode.unwrap_or(MODE),
            optional == Some(true),
        ),
        None if optional == Some(true) => Ok(VolumeSource::Files(BTreeMap::new())),
        None => Err(VolumeError::Missing {
            volume: volume.name.clone(),
            kind,
            name: name.clone(),
        }),
    }
}

fn config_map_data(map: ConfigMap) -> BTreeMap<String, Bytes> {
    let texts = map
        .data
        .unwrap_or_default()
        .into_iter()
        .map(|(key, text)| (key, Bytes::from(text)));
    let binaries = map
        .binary_data
        .unwrap_or_default()
        .into_iter()
        .map(|(key, bytes)| (key, Bytes::from(bytes.0)));
    texts.chain(binaries).collect()
}

fn secret_data(secret: Secret) -> BTreeMap<String, Bytes> {
    secret
        .data
        .unwrap_or_default()
        .into_iter()
        .map(|(key, bytes)| (key, Bytes::from(bytes.0)))
        .collect()
}

/// All keys under their own names, or the chosen ones at their paths.
fn files(
    volume: &str,
    data: &BTreeMap<String, Bytes>,
    items: Option<&[KeyToPath]>,
    mode: i32,
    optional: bool,
) -> Result<VolumeSource, VolumeError> {
    let bits = |mode: i32| u32::try_from(mode).unwrap_or(0) & 0o777;
    let mut files = BTreeMap::new();
    match items {
        None | Some([]) => files.extend(
            data.iter()
                .map(|(key, bytes)| (key.clone(), (bytes.clone(), bits(mode)))),
        ),
        Some(items) => {
            for item in items {
                if !stays_inside(&item.path) {
                    return Err(VolumeError::Escapes {
                        volume: volume.to_owned(),
                        path: item.path.clone(),
                    });
                }
                match data.get(&item.key) {
                    Some(bytes) => {
                        files.insert(
                            item.path.clone(),
                            (bytes.clone(), bits(item.mode.unwrap_or(mode))),
                        );
                    }
                    None if optional => {}
                    None => {
                        return Err(VolumeError::MissingKey {
                            volume: volume.to_owned(),
                            key: item.key.clone(),
                        });
                    }
                }
            }
        }
    }
    Ok(VolumeSource::Files(files))
}

/// Whether a relative path names a file below where it begins.
pub(super) fn stays_inside(path: &str) -> bool {
    !path.is_empty()
        && path
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..")
}

#[cfg(test)]
mod tests;
