//! Lists that are merged by element instead of being replaced as a whole.
//!
//! Server-side apply identifies elements by `x-kubernetes-list-map-keys`, a strategic merge patch by `patchMergeKey`. The
//! two differ: the same container port may exist for two protocols, but `patchMergeKey` has one key only. Both are from
//! the API reference.

use super::Kind;

/// Merge keys of all lists with one of these names.
pub struct MergeList {
    /// Names of the fields.
    pub names: &'static [&'static str],
    /// `x-kubernetes-list-map-keys`; empty if server-side apply treats the list as atomic.
    pub map_keys: &'static [&'static str],
    /// `patchMergeKey`.
    pub patch_key: &'static str,
}

/// Ownership of a list's elements in server-side apply (`x-kubernetes-list-type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListType {
    /// Elements are objects that these keys identify.
    Map(&'static [&'static str]),
    /// Elements are unique scalars.
    Set,
    /// The list has one owner.
    Atomic,
}

/// Effect of a strategic merge patch on a list (`patchStrategy`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PatchStrategy {
    /// Merges objects that have the same value of this key.
    MergeByKey(&'static str),
    /// Adds scalars that the list lacks.
    MergeValues,
    Replace,
}

/// Lists of scalars without duplicates.
const SETS: &[&str] = &["finalizers"];

/// Lists that have the same keys in every kind.
const COMMON: &[MergeList] = &[
    MergeList {
        names: &["ownerReferences"],
        map_keys: &["uid"],
        patch_key: "uid",
    },
    MergeList {
        names: &[
            "containers",
            "initContainers",
            "ephemeralContainers",
            "env",
            "volumes",
            "imagePullSecrets",
            "secrets",
        ],
        map_keys: &["name"],
        patch_key: "name",
    },
    MergeList {
        names: &["volumeMounts"],
        map_keys: &["mountPath"],
        patch_key: "mountPath",
    },
    MergeList {
        names: &["volumeDevices"],
        map_keys: &["devicePath"],
        patch_key: "devicePath",
    },
    MergeList {
        names: &["hostAliases", "podIPs"],
        map_keys: &["ip"],
        patch_key: "ip",
    },
    MergeList {
        names: &["hostIPs"],
        map_keys: &[],
        patch_key: "ip",
    },
    MergeList {
        names: &["conditions"],
        map_keys: &["type"],
        patch_key: "type",
    },
    MergeList {
        names: &["topologySpreadConstraints"],
        map_keys: &["topologyKey", "whenUnsatisfiable"],
        patch_key: "topologyKey",
    },
];

/// Lists of kinds that contain a pod spec.
pub(super) const POD: &[MergeList] = &[MergeList {
    names: &["ports"],
    map_keys: &["containerPort", "protocol"],
    patch_key: "containerPort",
}];

/// Lists of a service.
pub(super) const SERVICE: &[MergeList] = &[MergeList {
    names: &["ports"],
    map_keys: &["port", "protocol"],
    patch_key: "port",
}];

/// Lists of a node.
pub(super) const NODE: &[MergeList] = &[MergeList {
    names: &["addresses"],
    map_keys: &["type"],
    patch_key: "type",
}];

impl Kind {
    fn merge_list(&self, name: &str) -> Option<&'static MergeList> {
        let mut lists = self.merge_lists.iter().chain(COMMON);
        lists.find(|list| list.names.contains(&name))
    }

    /// Returns the list type of every list that has this field name.
    pub(crate) fn list_type(&self, name: &str) -> ListType {
        if SETS.contains(&name) {
            return ListType::Set;
        }
        match self.merge_list(name) {
            Some(list) if !list.map_keys.is_empty() => ListType::Map(list.map_keys),
            _ => ListType::Atomic,
        }
    }

    /// Returns the patch strategy of every list that has this field name.
    pub(crate) fn patch_strategy(&self, name: &str) -> PatchStrategy {
        if SETS.contains(&name) {
            return PatchStrategy::MergeValues;
        }
        self.merge_list(name)
            .map_or(PatchStrategy::Replace, |list| {
                PatchStrategy::MergeByKey(list.patch_key)
            })
    }
}
