//! Starts a container: image, environment, runtime, postStart hook.

use component_helpers::events::EventType::{Normal, Warning};
use container_runtime::{
    ContainerConfig, ContainerId, ContainerUser, Image, Mount, StreamsConfig, Termination,
};
use k8s_openapi::api::core::v1::{
    Container, Pod, PodSecurityContext, SecurityContext, VolumeMount,
};
use probe::expand::expand;
use probe::restart::should_restart;

use super::{ERROR_RETRY_INTERVAL, Worker};
use crate::environment::{self, EnvironmentError, Sources};
use crate::instance::{Instance, StatusReason};
use crate::pods::PodUpdate;

impl Worker {
    pub(super) async fn start_container(&mut self, pod: &Pod, container: &Container) {
        let Some(image) = self.ensure_image(pod, container).await else {
            return;
        };
        let config = match self.container_config(pod, container, image.clone()).await {
            Ok(config) => config,
            Err(error) => {
                let message = error.to_string();
                return self.on_start_error(pod, container, "CreateContainerConfigError", &message);
            }
        };
        let Some(sandbox) = self.sandbox.as_ref().map(|sandbox| sandbox.id.clone()) else {
            return;
        };
        let attempt = config.attempt;
        let id = match self.context.runtime.start_container(&sandbox, config).await {
            Ok(id) => id,
            Err(error) => {
                let message = error.to_string();
                return self.on_start_error(pod, container, "RunContainerError", &message);
            }
        };
        let instance = Instance {
            id: id.clone(),
            attempt,
            image,
            started_at: self.context.clock.now(),
            exit: None,
            message: None,
        };
        self.on_started(pod, container, instance).await;
        self.run_post_start_hook(pod, container, id).await;
        self.publish();
    }

    /// Records the new instance, and removes the container of the one that leaves the history.
    async fn on_started(&mut self, pod: &Pod, container: &Container, instance: Instance) {
        let name = &container.name;
        let history = self.state.containers.entry(name.clone()).or_default();
        let superseded = history.record_start(instance);
        for (reason, message) in [
            ("Created", "Container created"),
            ("Started", "Container started"),
        ] {
            self.event(pod, Some(name), Normal, reason, message);
        }
        if let Some(superseded) = superseded
            && let Err(error) = self.context.runtime.remove_container(&superseded.id).await
        {
            tracing::debug!(%error, container = name, "cannot remove terminated container");
        }
    }

    /// Runs the postStart hook. The start is published afterwards, so that no probe runs and no other container starts before
    /// the hook has finished.
    async fn run_post_start_hook(&mut self, pod: &Pod, container: &Container, id: ContainerId) {
        let lifecycle = container.lifecycle.as_ref();
        let Some(hook) = lifecycle.and_then(|lifecycle| lifecycle.post_start.clone()) else {
            return;
        };
        let handle = self.container_handle(pod, container, id);
        let hook = async move { handle.run_hook(&hook).await };
        let Some(Err(error)) = self.unless_deleted(hook).await else {
            return;
        };
        let name = &container.name;
        let reason = "FailedPostStartHook";
        self.event(pod, Some(name), Warning, reason, "PostStartHook failed");
        self.kill_container(pod, container, None, reason).await;
        let spec = pod.spec.as_ref();
        let policy = spec.and_then(|spec| spec.restart_policy.as_deref());
        let exit = self.history(name).last_exit();
        if exit.is_some_and(|exit| should_restart(container, policy, exit.code)) {
            self.set_waiting(name, StatusReason::new("PostStartHookError", error));
            self.requeue_after(ERROR_RETRY_INTERVAL);
        }
    }

    /// Awaits `future`; returns `None` as soon as the pod is deleted.
    async fn unless_deleted<T>(&mut self, future: impl Future<Output = T>) -> Option<T> {
        let is_deleted =
            |update: &PodUpdate| update.removed || update.pod.metadata.deletion_timestamp.is_some();
        // A clone of the receiver: `self.updates` must still report the change as unseen.
        let mut updates = self.updates.clone();
        tokio::select! {
            result = future => Some(result),
            _ = updates.wait_for(is_deleted) => None,
        }
    }

    fn on_start_error(&mut self, pod: &Pod, container: &Container, reason: &str, message: &str) {
        let name = &container.name;
        self.set_waiting(name, StatusReason::new(reason, message));
        let message = format!("Error: {message}");
        self.event(pod, Some(name), Warning, "Failed", &message);
        self.requeue_after(ERROR_RETRY_INTERVAL);
    }

    /// Returns the container's configuration with all variables expanded.
    ///
    /// Takes `&mut self` although it changes nothing: the stream of exits is `Send` and not `Sync`, so `&self` cannot be held
    /// across an await.
    async fn container_config(
        &mut self,
        pod: &Pod,
        container: &Container,
        image: Image,
    ) -> Result<ContainerConfig, EnvironmentError> {
        let context = self.context.clone();
        let sources = Sources::fetch(&context.client, pod, container).await?;
        let downward = context.downward(pod, self.state.ip);
        let mut env = environment::resolve(&downward, container, &sources)?;
        environment::add_clock_speed(&mut env, self.context.clock.speed());
        let lookup = |name: &str| {
            env.iter()
                .find(|(known, _)| known == name)
                .map(|(_, value)| value.clone())
        };
        let expand_all = |list: &Option<Vec<String>>| {
            list.iter()
                .flatten()
                .map(|text| expand(text, lookup))
                .collect()
        };
        let security = container.security_context.as_ref();
        let spec = pod.spec.as_ref();
        let pod_security = spec.and_then(|spec| spec.security_context.as_ref());
        Ok(ContainerConfig {
            name: container.name.clone(),
            attempt: self.history(&container.name).next_attempt(),
            image,
            command: expand_all(&container.command),
            args: expand_all(&container.args),
            working_dir: container.working_dir.clone(),
            mounts: mounts(container, lookup)?,
            user: user(pod_security, security),
            read_only_root_filesystem: security
                .and_then(|security| security.read_only_root_filesystem)
                .unwrap_or(false),
            streams: StreamsConfig {
                stdin: container.stdin.unwrap_or(false),
                stdin_once: container.stdin_once.unwrap_or(false),
                tty: container.tty.unwrap_or(false),
            },
            termination: termination(container),
            env,
        })
    }
}

fn termination(container: &Container) -> Termination {
    let path = container.termination_message_path.clone();
    let policy = container.termination_message_policy.as_deref();
    Termination {
        path: path.unwrap_or_default(),
        fallback_to_logs: policy == Some("FallbackToLogsOnError"),
    }
}

/// Returns the user of the container's processes. The container's security context overrides the pod's.
fn user(pod: Option<&PodSecurityContext>, container: Option<&SecurityContext>) -> ContainerUser {
    let id = |id: i64| u32::try_from(id).ok();
    let groups = pod.iter().flat_map(|pod| {
        let supplemental = pod.supplemental_groups.iter().flatten();
        supplemental.chain(&pod.fs_group).copied().filter_map(id)
    });
    ContainerUser {
        uid: container
            .and_then(|container| container.run_as_user)
            .or_else(|| pod?.run_as_user)
            .and_then(id),
        gid: container
            .and_then(|container| container.run_as_group)
            .or_else(|| pod?.run_as_group)
            .and_then(id),
        groups: groups.collect(),
    }
}

fn mounts(
    container: &Container,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<Vec<Mount>, EnvironmentError> {
    let mounts = container.volume_mounts.iter().flatten();
    let mount = |mount: &VolumeMount| {
        let expression = mount.sub_path_expr.as_deref();
        let expanded = expression
            .filter(|path| !path.is_empty())
            .map(|path| environment::expand_sub_path(path, &lookup));
        Ok(Mount {
            volume: mount.name.clone(),
            path: mount.mount_path.clone(),
            sub_path: expanded.transpose()?.or_else(|| mount.sub_path.clone()),
            read_only: mount.read_only.unwrap_or(false),
        })
    };
    mounts.map(mount).collect()
}
