//! The exercises and manifests that are part of the program.

use super::{Exercise, Step};

/// Files of `exercises/`, in the order the chapter has them.
const EXERCISES: &[(&str, &str)] = &[
    (
        "readiness.yaml",
        include_str!("../../exercises/readiness.yaml"),
    ),
    (
        "liveness.yaml",
        include_str!("../../exercises/liveness.yaml"),
    ),
];

/// Files of `k8s/`, by the path a reader would type in that folder.
const MANIFESTS: &[(&str, &str)] = &[
    (
        "numbers/api-service.yaml",
        include_str!("../../../../k8s/numbers/api-service.yaml"),
    ),
    (
        "numbers/update/api-with-readiness.yaml",
        include_str!("../../../../k8s/numbers/update/api-with-readiness.yaml"),
    ),
    (
        "numbers/update/api-with-readiness-and-liveness.yaml",
        include_str!("../../../../k8s/numbers/update/api-with-readiness-and-liveness.yaml"),
    ),
    (
        "numbers/update/api-with-scratch-volume.yaml",
        include_str!("../../../../k8s/numbers/update/api-with-scratch-volume.yaml"),
    ),
];

/// An exercise that cannot be used, and where it says so.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CatalogError {
    /// The file is not an exercise.
    #[error("{file}: {source}")]
    Parse {
        /// Which file.
        file: String,
        /// Which line and field.
        source: Box<serde_saphyr::Error>,
    },
    /// A step applies a manifest that is not part of the program.
    #[error("{file}: no manifest {manifest:?}")]
    Manifest {
        /// Which file.
        file: String,
        /// What it asks for.
        manifest: String,
    },
    /// No exercise has this name.
    #[error("no exercise {name:?}; there are: {known}")]
    Unknown {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: String,
    },
}

/// Every exercise.
pub(crate) fn all() -> Result<Vec<Exercise>, CatalogError> {
    EXERCISES
        .iter()
        .map(|(file, text)| parse(file, text))
        .collect()
}

/// The exercises of these names, in this order; all of them when none is named.
pub(crate) fn select(names: &[String]) -> Result<Vec<Exercise>, CatalogError> {
    let all = all()?;
    if names.is_empty() {
        return Ok(all);
    }
    let find = |name: &String| {
        all.iter()
            .find(|exercise| exercise.name == *name)
            .cloned()
            .ok_or_else(|| CatalogError::Unknown {
                name: name.clone(),
                known: all
                    .iter()
                    .map(|exercise| exercise.name.as_str())
                    .collect::<Vec<_>>()
                    .join(", "),
            })
    };
    names.iter().map(find).collect()
}

/// Reads one file, and makes sure that every manifest it applies is there.
pub(crate) fn parse(file: &str, text: &str) -> Result<Exercise, CatalogError> {
    let exercise: Exercise =
        serde_saphyr::from_str(text).map_err(|source| CatalogError::Parse {
            file: file.to_owned(),
            source: Box::new(source),
        })?;
    for step in &exercise.steps {
        if let Step::Apply(path) = step
            && manifest(path).is_none()
        {
            return Err(CatalogError::Manifest {
                file: file.to_owned(),
                manifest: path.clone(),
            });
        }
    }
    Ok(exercise)
}

/// The text of a manifest of `k8s/`.
pub(crate) fn manifest(path: &str) -> Option<&'static str> {
    MANIFESTS
        .iter()
        .find(|(name, _)| *name == path)
        .map(|(_, text)| *text)
}
