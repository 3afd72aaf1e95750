//! Steps that change a deployment's pod template, each with the request of kubectl.

use anyhow::Context as _;
use k8s_openapi::api::apps::v1::ReplicaSet;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use serde_json::json;

use super::{ExerciseRun, StepError};
use crate::exercise::selector;
use crate::exercise::step::SetImage;
use crate::exercise::transcript::Transcript;

impl ExerciseRun<'_> {
    /// Changes the annotation `kubectl.kubernetes.io/restartedAt` of the template, as `kubectl rollout restart` does.
    pub(super) async fn restart_rollout(
        &self,
        app: &str,
        transcript: &mut Transcript<'_>,
    ) -> Result<(), StepError> {
        transcript.command(&format!("kubectl rollout restart deployment/{app}"))?;
        let restarted_at = self.context.clock.now().to_string();
        let annotations = json!({"kubectl.kubernetes.io/restartedAt": restarted_at});
        let template = json!({"metadata": {"annotations": annotations}});
        let patch = Patch::Merge(json!({"spec": {"template": template}}));
        self.deployments()
            .patch(app, &PatchParams::default(), &patch)
            .await
            .with_context(|| format!("restarting deployment {app}"))?;
        transcript.line(&format!("deployment.apps/{app} restarted"))?;
        Ok(())
    }

    /// Sets the image of one container, which is found by its name, as `kubectl set image` does.
    pub(super) async fn set_image(
        &self,
        step: &SetImage,
        transcript: &mut Transcript<'_>,
    ) -> Result<(), StepError> {
        let SetImage {
            app,
            container,
            image,
        } = step;
        let app = self.app(app);
        transcript.command(&format!(
            "kubectl set image deployment/{app} {container}={image}"
        ))?;
        let containers = json!([{"name": container, "image": image}]);
        let patch = json!({"spec": {"template": {"spec": {"containers": containers}}}});
        self.deployments()
            .patch(app, &PatchParams::default(), &Patch::Strategic(patch))
            .await
            .with_context(|| format!("setting the image of deployment {app}"))?;
        transcript.line(&format!("deployment.apps/{app} image updated"))?;
        Ok(())
    }

    /// Replaces the template by that of the previous revision, as `kubectl rollout undo` does.
    pub(super) async fn undo_rollout(
        &self,
        app: &str,
        transcript: &mut Transcript<'_>,
    ) -> Result<(), StepError> {
        transcript.command(&format!("kubectl rollout undo deployment/{app}"))?;
        let client = self.context.client.clone();
        let sets = Api::<ReplicaSet>::namespaced(client, &self.context.namespace);
        let by_app = ListParams::default().labels(&selector(app));
        let mut revisions: Vec<_> = sets
            .list(&by_app)
            .await
            .context("listing replica sets")?
            .into_iter()
            .filter_map(|set| Some((revision(&set)?, set.spec?.template?)))
            .collect();
        revisions.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
        let (_, mut template) = revisions.into_iter().nth(1).ok_or_else(|| {
            StepError::Failed(format!("deployment {app} has no earlier revision"))
        })?;
        if let Some(labels) = template.metadata.as_mut().and_then(|m| m.labels.as_mut()) {
            labels.remove("pod-template-hash");
        }
        // The whole template is replaced: a merge would keep the fields that the newer one has added.
        let patch = json!([{"op": "replace", "path": "/spec/template", "value": template}]);
        let patch =
            serde_json::from_value(patch).context("building the patch of a rollout undo")?;
        self.deployments()
            .patch(app, &PatchParams::default(), &Patch::<()>::Json(patch))
            .await
            .with_context(|| format!("undoing the rollout of {app}"))?;
        transcript.line(&format!("deployment.apps/{app} rolled back"))?;
        Ok(())
    }
}

fn revision(set: &ReplicaSet) -> Option<u64> {
    let annotation = set.annotations().get("deployment.kubernetes.io/revision")?;
    annotation.parse().ok()
}
