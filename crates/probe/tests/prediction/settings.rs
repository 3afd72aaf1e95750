//! Generated settings of a container.

use std::fmt;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use selfheal_probe::ProbeKind;
use selfheal_probe::prediction::ContainerProbes;
use serde_json::{Value, json};

/// Number of generated settings.
pub(crate) const SETTINGS: u64 = 200;

/// UID of the pod.
pub(crate) const POD_UID: &str = "uid";

/// A pod with one container, and the input of its predictions.
#[derive(Clone)]
pub(crate) struct Setting {
    pub(crate) seed: u64,
    pub(crate) pod: Pod,
    pub(crate) probes: ContainerProbes,
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "setting {}: {:?}", self.seed, self.probes)
    }
}

/// Returns all settings, the same in each run.
pub(crate) fn settings() -> impl Iterator<Item = Setting> {
    (0..SETTINGS).map(Setting::generate)
}

impl Setting {
    fn generate(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let mut container = json!({"name": "app"});
        container["livenessProbe"] = probe(&mut random, ProbeKind::Liveness);
        container["readinessProbe"] = probe(&mut random, ProbeKind::Readiness);
        if random.random_bool(0.5) {
            container["startupProbe"] = probe(&mut random, ProbeKind::Startup);
        }
        if random.random_bool(0.2) {
            container["lifecycle"] = json!({"preStop": {"sleep": {"seconds": 1}}});
        }
        let mut spec = json!({"containers": [container]});
        if random.random_bool(0.5) {
            spec["terminationGracePeriodSeconds"] = json!(random.random_range(0..=60));
        }
        let metadata = json!({"name": "p", "namespace": "n", "uid": POD_UID});
        let pod = json!({"metadata": metadata, "spec": spec});
        let pod: Pod = serde_json::from_value(pod).expect("a valid pod");
        let spec = pod.spec.as_ref().expect("a spec");
        let probes = ContainerProbes::new(spec, &spec.containers[0]);
        Self { seed, pod, probes }
    }

    /// Returns the pod with these probes only.
    pub(crate) fn pod_with(&self, kinds: &[ProbeKind]) -> Pod {
        let mut pod = self.pod.clone();
        let container = &mut pod.spec.as_mut().expect("a spec").containers[0];
        for (kind, probe) in [
            (ProbeKind::Liveness, &mut container.liveness_probe),
            (ProbeKind::Readiness, &mut container.readiness_probe),
            (ProbeKind::Startup, &mut container.startup_probe),
        ] {
            if !kinds.contains(&kind) {
                *probe = None;
            }
        }
        pod
    }

    /// Returns the kinds of the probes that the container has.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = ProbeKind> {
        let kinds = ProbeKind::ALL.into_iter();
        kinds.filter(|kind| self.probes.probe(*kind).is_some())
    }

    pub(crate) fn period(&self, kind: ProbeKind) -> Duration {
        self.probes.probe(kind).expect("such a probe").period
    }

    pub(crate) fn initial_delay(&self, kind: ProbeKind) -> Duration {
        self.probes.probe(kind).expect("such a probe").initial_delay
    }

    pub(crate) fn has_startup_probe(&self) -> bool {
        self.probes.startup.is_some()
    }
}

/// Fields are absent now and then, so that defaults are covered too. The command names the kind for the simulated container.
fn probe(random: &mut StdRng, kind: ProbeKind) -> Value {
    let mut probe = json!({"exec": {"command": [kind.as_str()]}});
    let most = |kind| if kind == ProbeKind::Readiness { 4 } else { 1 };
    for (field, range) in [
        ("initialDelaySeconds", 0..=12),
        ("periodSeconds", 1..=12),
        ("timeoutSeconds", 1..=16),
        ("failureThreshold", 1..=4),
        ("successThreshold", 1..=most(kind)),
    ] {
        if random.random_bool(0.75) {
            probe[field] = json!(random.random_range(range));
        }
    }
    if kind != ProbeKind::Readiness && random.random_bool(0.3) {
        probe["terminationGracePeriodSeconds"] = json!(random.random_range(1..=40));
    }
    probe
}
