//! A pod's volumes with their content fetched, so that the runtime needs the API no more.

use container_runtime::Volume;
use k8s_openapi::api::core::v1::Pod;
use kube::Client;

use self::content::Content;
use super::downward::{DownwardError, Facts};

mod content;
mod select;

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
        "MountVolume.SetUp failed for volume {volume:?} : references non-existent {kind} key: {key}"
    )]
    MissingKey {
        volume: String,
        kind: &'static str,
        key: String,
    },
    /// A file would lie outside the volume.
    #[error("MountVolume.SetUp failed for volume {volume:?} : path {path:?} leaves the volume")]
    Escapes { volume: String, path: String },
    /// It tells of something that is not there.
    #[error("MountVolume.SetUp failed for volume {volume:?} : {source}")]
    Downward {
        volume: String,
        source: DownwardError,
    },
    /// Not a kind of volume that this node has.
    #[error("volume {0:?} is of a kind that this node does not have")]
    Unsupported(String),
    /// The API did not answer.
    #[error(transparent)]
    Api(#[from] kube::Error),
}

/// Fetches what the volumes of a pod contain.
pub(super) async fn resolve(
    client: &Client,
    facts: &Facts<'_>,
) -> Result<Vec<Volume>, VolumeError> {
    let mut volumes = Vec::new();
    for declared in facts
        .pod
        .spec
        .iter()
        .flat_map(|spec| spec.volumes.iter().flatten())
    {
        let content = Content {
            client,
            facts,
            volume: &declared.name,
        };
        volumes.push(Volume {
            name: declared.name.clone(),
            source: content.of(declared).await?,
        });
    }
    Ok(volumes)
}

/// Whether what the volumes of a pod contain may change while it runs.
pub(super) fn may_change(pod: &Pod) -> bool {
    let declared = pod.spec.iter();
    let mut volumes = declared.flat_map(|spec| spec.volumes.iter().flatten());
    volumes.any(|volume| volume.empty_dir.is_none())
}
