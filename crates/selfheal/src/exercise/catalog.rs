//! The exercises and manifests that are part of the program.

use super::Exercise;
use super::step::Step;

/// Files of `exercises/` in the order of the chapter.
const EXERCISES: &[(&str, &str)] = &[
    (
        "readiness.yaml",
        include_str!("../../exercises/readiness.yaml"),
    ),
    (
        "liveness.yaml",
        include_str!("../../exercises/liveness.yaml"),
    ),
    ("todo.yaml", include_str!("../../exercises/todo.yaml")),
    (
        "bad-update.yaml",
        include_str!("../../exercises/bad-update.yaml"),
    ),
    (
        "wrong-image.yaml",
        include_str!("../../exercises/wrong-image.yaml"),
    ),
    (
        "rolling-update.yaml",
        include_str!("../../exercises/rolling-update.yaml"),
    ),
    ("sidecar.yaml", include_str!("../../exercises/sidecar.yaml")),
];

/// Files of `k8s/` by their path in that directory.
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
        "numbers/update/api-that-drains.yaml",
        include_str!("../../../../k8s/numbers/update/api-that-drains.yaml"),
    ),
    (
        "numbers/update/api-with-scratch-volume.yaml",
        include_str!("../../../../k8s/numbers/update/api-with-scratch-volume.yaml"),
    ),
    (
        "sidecar/numbers/numbers-healed-probes.yaml",
        include_str!("../../../../k8s/sidecar/numbers/numbers-healed-probes.yaml"),
    ),
    (
        "sidecar/numbers/numbers-healed-service.yaml",
        include_str!("../../../../k8s/sidecar/numbers/numbers-healed-service.yaml"),
    ),
    (
        "sidecar/numbers/numbers-healed.yaml",
        include_str!("../../../../k8s/sidecar/numbers/numbers-healed.yaml"),
    ),
    (
        "sidecar/todo-db/todo-db-probes-service.yaml",
        include_str!("../../../../k8s/sidecar/todo-db/todo-db-probes-service.yaml"),
    ),
    (
        "sidecar/todo-db/todo-db-probes.yaml",
        include_str!("../../../../k8s/sidecar/todo-db/todo-db-probes.yaml"),
    ),
    (
        "sidecar/todo-db/todo-db.yaml",
        include_str!("../../../../k8s/sidecar/todo-db/todo-db.yaml"),
    ),
    (
        "todo-list/db/todo-db-secret.yaml",
        include_str!("../../../../k8s/todo-list/db/todo-db-secret.yaml"),
    ),
    (
        "todo-list/db/todo-db-service.yaml",
        include_str!("../../../../k8s/todo-list/db/todo-db-service.yaml"),
    ),
    (
        "todo-list/db/todo-db.yaml",
        include_str!("../../../../k8s/todo-list/db/todo-db.yaml"),
    ),
    (
        "todo-list/db/update/todo-db-bad-command.yaml",
        include_str!("../../../../k8s/todo-list/db/update/todo-db-bad-command.yaml"),
    ),
    (
        "todo-list/web/better/todo-web.yaml",
        include_str!("../../../../k8s/todo-list/web/better/todo-web.yaml"),
    ),
    (
        "todo-list/web/todo-web-config.yaml",
        include_str!("../../../../k8s/todo-list/web/todo-web-config.yaml"),
    ),
    (
        "todo-list/web/todo-web-secret.yaml",
        include_str!("../../../../k8s/todo-list/web/todo-web-secret.yaml"),
    ),
    (
        "todo-list/web/todo-web-service.yaml",
        include_str!("../../../../k8s/todo-list/web/todo-web-service.yaml"),
    ),
    (
        "todo-list/web/todo-web.yaml",
        include_str!("../../../../k8s/todo-list/web/todo-web.yaml"),
    ),
];

/// Error in an exercise file or in the name of an exercise.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CatalogError {
    /// The file is not a valid exercise.
    #[error("{file}: {source}")]
    Parse {
        file: String,
        /// Line and field of the error.
        source: Box<serde_saphyr::Error>,
    },
    /// A step applies a manifest that is not part of the program.
    #[error("{file}: no manifest {manifest:?}")]
    Manifest { file: String, manifest: String },
    /// A step or an assertion names an application that is not watched.
    #[error("{file}: no application {app:?}; applications: {known}")]
    App {
        file: String,
        app: String,
        known: String,
    },
    /// No exercise has this name.
    #[error("no exercise {name:?}; exercises: {known}")]
    Unknown { name: String, known: String },
}

/// Names of all exercises.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    let stem = |file: &'static str| file.strip_suffix(".yaml").unwrap_or(file);
    EXERCISES.iter().map(move |(file, _)| stem(file))
}

/// Parses all exercises.
pub(crate) fn all() -> Result<Vec<Exercise>, CatalogError> {
    EXERCISES
        .iter()
        .map(|(file, text)| parse(file, text))
        .collect()
}

/// Returns the exercises of these names, in this order; all of them if `names` is empty.
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

/// Parses one file and checks that the manifests and applications it names exist.
pub(crate) fn parse(file: &str, text: &str) -> Result<Exercise, CatalogError> {
    let exercise: Exercise =
        serde_saphyr::from_str(text).map_err(|source| CatalogError::Parse {
            file: file.to_owned(),
            source: Box::new(source),
        })?;
    for step in &exercise.steps {
        if let Step::Apply(path) = step
            && manifests(path).is_empty()
        {
            return Err(CatalogError::Manifest {
                file: file.to_owned(),
                manifest: path.clone(),
            });
        }
        if let Some(app) = step.apps().find(|app| !exercise.apps.contains(app)) {
            return Err(CatalogError::App {
                file: file.to_owned(),
                app: app.clone(),
                known: exercise.apps.join(", "),
            });
        }
    }
    Ok(exercise)
}

/// Returns the text of a manifest of `k8s/`, or those of a directory if `path` ends with a slash. Subdirectories are not
/// included.
pub(crate) fn manifests(path: &str) -> Vec<&'static str> {
    let is_selected = |file: &str| match path.strip_suffix('/') {
        Some(dir) => file
            .rsplit_once('/')
            .is_some_and(|(parent, _)| parent == dir),
        None => file == path,
    };
    let found = MANIFESTS.iter().filter(|(file, _)| is_selected(file));
    found.map(|(_, text)| *text).collect()
}
