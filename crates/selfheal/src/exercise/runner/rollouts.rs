//! The steps that have a deployment replace its pods, each as kubectl does it.

use anyhow::Context as _;
use k8s_openapi::api::apps::v1::ReplicaSet;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use serde_json::json;

use super::{Run, StepError};
use crate::exercise::selector;
use crate::exercise::step::SetImage;
use crate::exercise::transcript::Transcript;

impl Run<'_> {
    /// As `kubectl rollout restart` does it: a template that differs in nothing but a time of day.
    pub(super) async fn restart(
        &self,
        app: &str,
        transcript: &mut Transcript<'_>,
    ) -> Result<(), StepError> {
        transcript.command(&format!("kubectl rollout restart deployment/{app}"))?;
        let at = self.context.clock.now().to_string();
        let annotations = json!({"kubectl.kubernetes.io/restartedAt": at});
        let template = json!({"metadata": {"annotations": annotations}});
        let patch = Patch::Merge(json!({"spec": {"template": template}}));
        self.deployments()
            .patch(app, &PatchParams::default(), &patch)
            .await
            .with_context(|| format!("restarting deployment {app}"))?;
        transcript.line(&format!("deployment.apps/{app} restarted"))?;
        Ok(())
    }

    /// As `kubectl set image` does it: the container is found by its name, the others are left alone.
    pub(super) async fn image(
        &self,
        set: &SetImage,
        transcript: &mut Transcript<'_>,
    ) -> Result<(), StepError> {
        let (
            app,
            SetImage {
                container, image, ..
            },
        ) = (self.app(&set.app), set);
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

    /// As `kubectl rollout undo` does it: the template of the revision before the newest becomes the newest's.
    pub(super) async fn undo(
        &self,
        app: &str,
        transcript: &mut Transcript<'_>,
    ) -> Result<(), StepError> {
        transcript.command(&format!("kubectl rollout undo deployment/{app}"))?;
        let client = self.context.client.clone();
        let sets = Api::<ReplicaSet>::namespaced(client, &self.context.namespace);
        let of_app = ListParams::default().labels(&selector(app));
        let mut revisions: Vec<_> = sets
            .list(&of_app)
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
        // The whole template is replaced: a merge would leave what the newer one has added.
        let patch = json!([{"op": "replace", "path": "/spec/template", "value": template}]);
        let patch = serde_json::from_value(patch).context("the patch of an undo")?;
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
