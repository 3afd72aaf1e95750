//! Reports the components' health through the API: events about the node, and its condition `ComponentsHealthy`.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, NodeCondition, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::sync::watch;

use super::{Component, ComponentHealth, Supervisor};
use crate::events::{EventType, Recorder};

/// Type of the node condition.
pub const HEALTHY_CONDITION: &str = "ComponentsHealthy";

/// Delay after which a condition that could not be written is written again.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Writes the components' health to the API.
pub struct Reporter {
    supervisor: Supervisor,
    component: Component,
    client: Client,
    recorder: Recorder,
    node_name: String,
    changes: watch::Receiver<u64>,
    /// Number of panics for which an event was recorded, by component.
    reported: BTreeMap<String, u64>,
}

impl Reporter {
    /// Creates a reporter for the node `node_name`.
    #[must_use]
    pub fn new(
        supervisor: &Supervisor,
        client: Client,
        recorder: Recorder,
        node_name: String,
    ) -> Self {
        Self {
            component: supervisor.component("component-reporter"),
            changes: supervisor.changes(),
            supervisor: supervisor.clone(),
            client,
            recorder,
            node_name,
            reported: BTreeMap::new(),
        }
    }

    /// Reports every change until the node shuts down.
    pub async fn run(self) {
        let component = self.component.clone();
        component
            .run("", self, |reporter| Box::pin(reporter.report()))
            .await;
    }

    async fn report(&mut self) {
        loop {
            self.changes.mark_unchanged();
            self.component.failpoint();
            let health = self.supervisor.health();
            self.record_events(&health);
            if let Err(error) = self.write_condition(&health).await {
                tracing::debug!(%error, "cannot write the node's condition; retrying");
                self.supervisor.clock().sleep(RETRY_DELAY).await;
                continue;
            }
            if self.changes.changed().await.is_err() {
                return;
            }
        }
    }

    fn record_events(&mut self, health: &[ComponentHealth]) {
        for component in health.iter().filter(|component| component.panics > 0) {
            let reported = self.reported.entry(component.name.clone()).or_default();
            if *reported == component.panics {
                continue;
            }
            *reported = component.panics;
            let failure = component.failure.as_deref().unwrap_or("panicked");
            let message = format!("component {} {failure}", component.name);
            let node = node_reference(&self.node_name);
            self.recorder
                .event(&node, EventType::Warning, "ComponentPanicked", message);
        }
    }

    async fn write_condition(&self, health: &[ComponentHealth]) -> kube::Result<()> {
        let api: Api<Node> = Api::all(self.client.clone());
        let Some(mut node) = api.get_opt(&self.node_name).await? else {
            return Ok(());
        };
        let now = self.supervisor.clock().now();
        let conditions = node.status.get_or_insert_default();
        let conditions = conditions.conditions.get_or_insert_default();
        let position = conditions
            .iter()
            .position(|one| one.type_ == HEALTHY_CONDITION);
        let old = position.map(|at| conditions.remove(at));
        let mut new = healthy_condition(health, now);
        if let Some(old) = old {
            if old.status == new.status {
                new.last_transition_time
                    .clone_from(&old.last_transition_time);
            }
            if (&old.status, &old.message) == (&new.status, &new.message) {
                return Ok(());
            }
        }
        conditions.push(new);
        // The resource version of the read makes a concurrent change a conflict, which is retried.
        let parameters = PostParams::default();
        api.replace_status(&self.node_name, &parameters, &node)
            .await?;
        Ok(())
    }
}

/// Returns the reference of a node in events, which has the node's name as UID, as the kubelet's events.
fn node_reference(name: &str) -> ObjectReference {
    ObjectReference {
        kind: Some("Node".to_owned()),
        name: Some(name.to_owned()),
        uid: Some(name.to_owned()),
        ..ObjectReference::default()
    }
}

/// Returns the condition, which is false while a component has not run again after a panic.
#[must_use]
pub fn healthy_condition(health: &[ComponentHealth], now: Timestamp) -> NodeCondition {
    let failed = health.iter().filter_map(|component| {
        let failure = component.failure.as_ref()?;
        Some(format!("{} {failure}", component.name))
    });
    let failed: Vec<String> = failed.collect();
    let (status, reason, message) = if failed.is_empty() {
        (
            "True",
            "ComponentsRunning",
            "all components are running".to_owned(),
        )
    } else {
        ("False", "ComponentRestarting", failed.join("; "))
    };
    let now = crate::time::truncate_to_seconds(now);
    NodeCondition {
        type_: HEALTHY_CONDITION.to_owned(),
        status: status.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message),
        last_heartbeat_time: Some(Time(now.0)),
        last_transition_time: Some(now),
    }
}
