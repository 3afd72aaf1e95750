//! Resolves a pod's volumes: reads their content from the API, so that the runtime needs no API access.

use container_runtime::Volume;
use k8s_openapi::api::core::v1::Pod;
use kube::Client;

use self::content::VolumeResolver;
use super::downward::{DownwardContext, DownwardError};

mod content;
mod select;

/// Error that prevents the setup of a volume (`FailedMount`).
#[derive(Debug, thiserror::Error)]
pub(super) enum VolumeError {
    /// A referenced ConfigMap or Secret does not exist.
    #[error("MountVolume.SetUp failed for volume {volume:?} : {kind} {name:?} not found")]
    Missing {
        volume: String,
        kind: &'static str,
        name: String,
    },
    /// A referenced ConfigMap or Secret does not have the key.
    #[error(
        "MountVolume.SetUp failed for volume {volume:?} : references non-existent {kind} key: {key}"
    )]
    MissingKey {
        volume: String,
        kind: &'static str,
        key: String,
    },
    /// A file's path is not inside the volume.
    #[error("MountVolume.SetUp failed for volume {volume:?} : path {path:?} leaves the volume")]
    Escapes { volume: String, path: String },
    /// A `fieldRef` or `resourceFieldRef` cannot be resolved.
    #[error("MountVolume.SetUp failed for volume {volume:?} : {source}")]
    Downward {
        volume: String,
        source: DownwardError,
    },
    /// The node does not support the volume's type.
    #[error(
        "volume {0:?}: unsupported volume type; use emptyDir, configMap, secret, downwardAPI or projected"
    )]
    Unsupported(String),
    /// A request to the API server failed.
    #[error(transparent)]
    Api(#[from] kube::Error),
}

/// Reads the content of all volumes of a pod.
pub(super) async fn resolve(
    client: &Client,
    downward: &DownwardContext<'_>,
) -> Result<Vec<Volume>, VolumeError> {
    let mut volumes = Vec::new();
    for declared in downward
        .pod
        .spec
        .iter()
        .flat_map(|spec| spec.volumes.iter().flatten())
    {
        let resolver = VolumeResolver {
            client,
            downward,
            volume: &declared.name,
        };
        volumes.push(Volume {
            name: declared.name.clone(),
            source: resolver.resolve(declared).await?,
        });
    }
    Ok(volumes)
}

/// Returns `true` if the content of the pod's volumes can change while the pod runs: all types but `emptyDir`.
pub(super) fn can_change(pod: &Pod) -> bool {
    let declared = pod.spec.iter();
    let mut volumes = declared.flat_map(|spec| spec.volumes.iter().flatten());
    volumes.any(|volume| volume.empty_dir.is_none())
}
