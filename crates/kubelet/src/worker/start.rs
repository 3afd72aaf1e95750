//! Starting a container: its image, its environment, and what is said when one of them is not to be had.

use std::time::Duration;

use component_helpers::events::EventType::{Normal, Warning};
use container_runtime::{
    ContainerConfig, ContainerId, ContainerUser, Image, Mount, StreamsConfig, Termination,
};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    Container, Pod, PodSecurityContext, SecurityContext, VolumeMount,
};
use probe::expand::expand;

use super::{RETRY, Waiting, Worker};
use crate::actions::RestartPolicy;
use crate::environment::{self, EnvironmentError, Sources};
use crate::instance::Instance;
use crate::pods::Desired;

/// The first and the longest wait for an image that cannot be had.
const PULL_WAITS: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(300));

/// The waits for a container's image.
pub(super) struct Pull {
    delay: Duration,
    until: Timestamp,
    error: String,
}

impl Worker {
    pub(super) async fn start(&mut self, pod: &Pod, container: &Container) {
        let Some(image) = self.image(pod, container).await else {
            return;
        };
        let config = match self.config(pod, container, image.clone()).await {
            Ok(config) => config,
            Err(error) => {
                return self.not_started(
                    pod,
                    container,
                    "CreateContainerConfigError",
                    &error.to_string(),
                );
            }
        };
        let Some(sandbox) = self.sandbox.as_ref().map(|sandbox| sandbox.id.clone()) else {
            return;
        };
        let attempt = config.attempt;
        let id = match self.context.runtime.start_container(&sandbox, config).await {
            Ok(id) => id,
            Err(error) => {
                return self.not_started(pod, container, "RunContainerError", &error.to_string());
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
        let record = self
            .state
            .containers
            .entry(container.name.clone())
            .or_default();
        let forgotten = record.started(instance);
        for (reason, message) in [
            ("Created", "Container created"),
            ("Started", "Container started"),
        ] {
            self.event(pod, Some(&container.name), Normal, reason, message);
        }
        if let Some(forgotten) = forgotten
            && let Err(error) = self.context.runtime.remove_container(&forgotten.id).await
        {
            tracing::debug!(%error, "an old container was not removed");
        }
        self.after_its_start(pod, container, id).await;
        self.publish();
    }

    /// Runs the hook, before the container's start is published: no probe and no other container comes before its end.
    async fn after_its_start(&mut self, pod: &Pod, container: &Container, id: ContainerId) {
        let lifecycle = container.lifecycle.as_ref();
        let Some(hook) = lifecycle.and_then(|lifecycle| lifecycle.post_start.clone()) else {
            return;
        };
        let subject = self.subject(pod, container, id);
        let hook = async move { subject.run(&hook).await };
        let Some(Err(error)) = self.unless_deleted(hook).await else {
            return;
        };
        let name = &container.name;
        self.event(
            pod,
            Some(name),
            Warning,
            "FailedPostStartHook",
            "PostStartHook failed",
        );
        self.kill(pod, container, None, "FailedPostStartHook").await;
        let policy = pod.spec.iter().find_map(|s| s.restart_policy.as_deref());
        let exit = self.record(name).newest_exit();
        if exit.is_some_and(|exit| RestartPolicy::parse(policy).restarts(exit.code)) {
            self.wait_for(name, Waiting::new("PostStartHookError", error));
            self.look_again(RETRY);
        }
    }

    /// Waits, unless the pod is deleted meanwhile.
    async fn unless_deleted<T>(&mut self, what: impl Future<Output = T>) -> Option<T> {
        let is_deleted =
            |desired: &Desired| desired.gone || desired.pod.metadata.deletion_timestamp.is_some();
        // A receiver of its own: what it sees is not seen by whoever looks next.
        let mut desired = self.desired.clone();
        tokio::select! {
            result = what => Some(result),
            _ = desired.wait_for(is_deleted) => None,
        }
    }

    fn not_started(&mut self, pod: &Pod, container: &Container, reason: &str, message: &str) {
        self.wait_for(&container.name, Waiting::new(reason, message));
        self.event(
            pod,
            Some(&container.name),
            Warning,
            "Failed",
            &format!("Error: {message}"),
        );
        self.look_again(RETRY);
    }

    /// The program behind the container's image; none while it has to wait for one.
    async fn image(&mut self, pod: &Pod, container: &Container) -> Option<Image> {
        let reference = container.image.clone().unwrap_or_default();
        let now = self.context.clock.now();
        if let Some(pull) = self
            .pulls
            .get(&container.name)
            .filter(|pull| now < pull.until)
        {
            let (until, message) = (
                pull.until,
                format!(
                    "Back-off pulling image {reference:?}: ErrImagePull: {}",
                    pull.error
                ),
            );
            self.event(
                pod,
                Some(&container.name),
                Normal,
                "BackOff",
                &format!("Back-off pulling image {reference:?}"),
            );
            let error = "Error: ImagePullBackOff";
            self.event(pod, Some(&container.name), Warning, "Failed", error);
            self.wait_for(&container.name, Waiting::new("ImagePullBackOff", message));
            self.look_again(Duration::try_from(until.duration_since(now)).unwrap_or_default());
            return None;
        }
        match self.context.runtime.resolve_image(&reference).await {
            Ok(image) => {
                self.pulls.remove(&container.name);
                let message = format!(
                    "Container image {reference:?} already present on machine and can be accessed by the pod"
                );
                self.event(pod, Some(&container.name), Normal, "Pulled", &message);
                Some(image)
            }
            Err(error) => {
                self.cannot_pull(pod, container, &reference, error.to_string());
                None
            }
        }
    }

    fn cannot_pull(&mut self, pod: &Pod, container: &Container, reference: &str, error: String) {
        let name = &container.name;
        self.event(
            pod,
            Some(name),
            Normal,
            "Pulling",
            &format!("Pulling image {reference:?}"),
        );
        self.event(
            pod,
            Some(name),
            Warning,
            "Failed",
            &format!("Failed to pull image {reference:?}: {error}"),
        );
        self.event(pod, Some(name), Warning, "Failed", "Error: ErrImagePull");
        self.wait_for(name, Waiting::new("ErrImagePull", error.clone()));
        let delay = self
            .pulls
            .get(name)
            .map_or(PULL_WAITS.0, |pull| (pull.delay * 2).min(PULL_WAITS.1));
        let until = self
            .context
            .clock
            .now()
            .saturating_add(delay)
            .unwrap_or(Timestamp::MAX);
        self.pulls.insert(
            name.clone(),
            Pull {
                delay,
                until,
                error,
            },
        );
        // The next look finds the image waiting, and says so.
        self.look_again(delay / 2);
    }

    /// Takes `&mut self` like everything that waits: a stream of exits can be moved to another thread and not shared.
    async fn config(
        &mut self,
        pod: &Pod,
        container: &Container,
        image: Image,
    ) -> Result<ContainerConfig, EnvironmentError> {
        let context = self.context.clone();
        let sources = Sources::fetch(&context.client, pod, container).await?;
        let facts = context.facts(pod, self.state.ip);
        let mut env = environment::resolve(&facts, container, &sources)?;
        environment::add_clock_speed(&mut env, self.context.clock.pace());
        let lookup = |name: &str| {
            env.iter()
                .find(|(known, _)| known == name)
                .map(|(_, value)| value.clone())
        };
        let expanded = |list: &Option<Vec<String>>| {
            list.iter()
                .flatten()
                .map(|text| expand(text, lookup))
                .collect()
        };
        let security = container.security_context.as_ref();
        let of_pod = pod
            .spec
            .as_ref()
            .and_then(|spec| spec.security_context.as_ref());
        Ok(ContainerConfig {
            name: container.name.clone(),
            attempt: self
                .state
                .containers
                .get(&container.name)
                .map_or(0, super::super::instance::Record::next_attempt),
            image,
            command: expanded(&container.command),
            args: expanded(&container.args),
            working_dir: container.working_dir.clone(),
            mounts: mounts(container, lookup)?,
            user: user(of_pod, security),
            read_only_root_filesystem: security
                .and_then(|s| s.read_only_root_filesystem)
                .unwrap_or(false),
            streams: StreamsConfig {
                stdin: container.stdin.unwrap_or(false),
                stdin_once: container.stdin_once.unwrap_or(false),
                tty: container.tty.unwrap_or(false),
            },
            termination: Termination {
                path: container
                    .termination_message_path
                    .clone()
                    .unwrap_or_default(),
                fallback_to_logs: container.termination_message_policy.as_deref()
                    == Some("FallbackToLogsOnError"),
            },
            env,
        })
    }
}

/// Who the container's processes are: what it says itself comes before what its pod says.
fn user(of_pod: Option<&PodSecurityContext>, own: Option<&SecurityContext>) -> ContainerUser {
    let id = |id: i64| u32::try_from(id).ok();
    let groups = of_pod.iter().flat_map(|pod| {
        let others = pod.supplemental_groups.iter().flatten();
        others.chain(&pod.fs_group).copied().filter_map(id)
    });
    ContainerUser {
        uid: own
            .and_then(|own| own.run_as_user)
            .or_else(|| of_pod?.run_as_user)
            .and_then(id),
        gid: own
            .and_then(|own| own.run_as_group)
            .or_else(|| of_pod?.run_as_group)
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
        let expanded = mount
            .sub_path_expr
            .as_deref()
            .filter(|path| !path.is_empty());
        let expanded = expanded.map(|path| environment::sub_path(path, &lookup));
        Ok(Mount {
            volume: mount.name.clone(),
            path: mount.mount_path.clone(),
            sub_path: expanded.transpose()?.or_else(|| mount.sub_path.clone()),
            read_only: mount.read_only.unwrap_or(false),
        })
    };
    mounts.map(mount).collect()
}
