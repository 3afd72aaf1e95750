//! Resolves one volume: reads its content from the API.

use std::collections::BTreeMap;

use bytes::Bytes;
use component_helpers::quantity;
use container_runtime::{Files, VolumeSource};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{
    ConfigMap, DownwardAPIVolumeFile, ProjectedVolumeSource, Secret, Volume, VolumeProjection,
};
use kube::{Api, Client};

use super::VolumeError;
use super::select::{KeySelection, checked_path, file_mode, select_keys};
use crate::downward::DownwardContext;

/// Resolves one volume of a pod.
pub(super) struct VolumeResolver<'a> {
    pub(super) client: &'a Client,
    pub(super) downward: &'a DownwardContext<'a>,
    pub(super) volume: &'a str,
}

impl VolumeResolver<'_> {
    pub(super) async fn resolve(&self, volume: &Volume) -> Result<VolumeSource, VolumeError> {
        if let Some(empty) = &volume.empty_dir {
            let limit = empty.size_limit.as_ref().and_then(quantity::value);
            let size_limit = limit
                .and_then(|limit| u64::try_from(limit).ok())
                .filter(|limit| *limit > 0);
            return Ok(VolumeSource::EmptyDir { size_limit });
        }
        let files = if let Some(map) = &volume.config_map {
            let keys = KeySelection {
                items: map.items.as_deref(),
                mode: map.default_mode,
                optional: map.optional,
            };
            self.config_map(&map.name, &keys).await?
        } else if let Some(secret) = &volume.secret {
            let keys = KeySelection {
                items: secret.items.as_deref(),
                mode: secret.default_mode,
                optional: secret.optional,
            };
            let name = secret.secret_name.as_deref();
            let name = name.ok_or_else(|| self.unsupported())?;
            self.secret(name, &keys).await?
        } else if let Some(downward) = &volume.downward_api {
            let items = downward.items.as_deref().unwrap_or_default();
            self.downward_files(items, downward.default_mode)?
        } else if let Some(projected) = &volume.projected {
            self.projected(projected).await?
        } else {
            return Err(self.unsupported());
        };
        Ok(VolumeSource::Files(files))
    }

    /// Merges the files of all sources. A later source replaces files of the same path.
    async fn projected(&self, projected: &ProjectedVolumeSource) -> Result<Files, VolumeError> {
        let mode = projected.default_mode;
        let mut files = Files::new();
        for source in projected.sources.iter().flatten() {
            let part = match source {
                VolumeProjection {
                    config_map: Some(map),
                    ..
                } => {
                    let keys = KeySelection {
                        items: map.items.as_deref(),
                        mode,
                        optional: map.optional,
                    };
                    self.config_map(&map.name, &keys).await?
                }
                VolumeProjection {
                    secret: Some(secret),
                    ..
                } => {
                    let keys = KeySelection {
                        items: secret.items.as_deref(),
                        mode,
                        optional: secret.optional,
                    };
                    self.secret(&secret.name, &keys).await?
                }
                VolumeProjection {
                    downward_api: Some(downward),
                    ..
                } => self.downward_files(downward.items.as_deref().unwrap_or_default(), mode)?,
                _ => return Err(self.unsupported()),
            };
            files.extend(part);
        }
        Ok(files)
    }

    async fn config_map(&self, name: &str, keys: &KeySelection<'_>) -> Result<Files, VolumeError> {
        let found = self.api::<ConfigMap>().get_opt(name).await?;
        self.files("configmap", name, found.map(config_map_data), keys)
    }

    async fn secret(&self, name: &str, keys: &KeySelection<'_>) -> Result<Files, VolumeError> {
        let found = self.api::<Secret>().get_opt(name).await?;
        self.files("secret", name, found.map(secret_data), keys)
    }

    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        let namespace = self.downward.pod.metadata.namespace.as_deref();
        Api::namespaced(self.client.clone(), namespace.unwrap_or_default())
    }

    fn files(
        &self,
        kind: &'static str,
        name: &str,
        data: Option<BTreeMap<String, Bytes>>,
        keys: &KeySelection<'_>,
    ) -> Result<Files, VolumeError> {
        match data {
            Some(data) => select_keys(self.volume, kind, &data, keys),
            None if keys.optional == Some(true) => Ok(Files::new()),
            None => Err(VolumeError::Missing {
                volume: self.volume.to_owned(),
                kind,
                name: name.to_owned(),
            }),
        }
    }

    fn downward_files(
        &self,
        items: &[DownwardAPIVolumeFile],
        mode: Option<i32>,
    ) -> Result<Files, VolumeError> {
        let mut files = Files::new();
        for item in items {
            let value = match (&item.field_ref, &item.resource_field_ref) {
                (Some(field), _) => self.downward.field_value(field),
                (None, Some(resource)) => self.downward.resource_of_named_container(resource),
                (None, None) => continue,
            };
            let value = value.map_err(|source| VolumeError::Downward {
                volume: self.volume.to_owned(),
                source,
            })?;
            let path = checked_path(self.volume, &item.path)?;
            files.insert(path, (value.into(), file_mode(item.mode, mode)));
        }
        Ok(files)
    }

    fn unsupported(&self) -> VolumeError {
        VolumeError::Unsupported(self.volume.to_owned())
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
