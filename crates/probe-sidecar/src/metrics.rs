//! Metrics of probes for Prometheus: those of the kubelet with its names and labels, and additional ones.
//!
//! The values are read from the probes during a scrape; there is no second copy.

use std::fmt;
use std::sync::atomic::AtomicU64;

use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::engine::state::Status;
use crate::engine::totals::BUCKETS;
use crate::engine::{Engine, ProbeHandle, Snapshot, schedule_delay};

/// Labels of the pod.
#[derive(Clone, Debug, Default)]
pub struct Pod {
    /// Name of the pod.
    pub name: String,
    /// Namespace of the pod.
    pub namespace: String,
    /// UID of the pod.
    pub uid: String,
}

/// Collector of the metrics of all probes.
#[derive(Debug)]
pub struct Probes {
    /// Engine that runs the probes.
    pub engine: Engine,
    /// Labels of the pod.
    pub pod: Pod,
}

/// Names of all metrics of this module as scraped.
pub const NAMES: [&str; 10] = [
    "prober_probe_total",
    "prober_probe_duration_seconds",
    "probe_sidecar_probe_errors_total",
    "probe_sidecar_probe_failures_total",
    "probe_sidecar_probe_transitions_total",
    "probe_sidecar_probe_status",
    "probe_sidecar_probe_healthy",
    "probe_sidecar_certificate_expiry_timestamp_seconds",
    "probe_sidecar_group_healthy",
    "probe_sidecar_schedule_delay_seconds",
];

/// Names of the metrics of [`Reloads`], and of the program.
pub const RELOAD_NAMES: [&str; 3] = [
    "probe_sidecar_config_last_reload_successful",
    "probe_sidecar_config_last_reload_success_timestamp_seconds",
    "probe_sidecar_build_info",
];

/// Metrics of reloads.
#[derive(Clone, Debug, Default)]
pub struct Reloads {
    successful: Gauge,
    timestamp: Gauge<f64, AtomicU64>,
}

impl Reloads {
    /// Registers the metrics of reloads and the version of the program.
    pub fn register(registry: &mut Registry) -> Self {
        let reloads = Self::default();
        registry.register(
            RELOAD_NAMES[0],
            "Result of the last load of the configuration (1 success, 0 failure: the previous one is active)",
            reloads.successful.clone(),
        );
        registry.register(
            RELOAD_NAMES[1],
            "Unix time of the last successful load of the configuration",
            reloads.timestamp.clone(),
        );
        let build = Family::<Labels<'static, 1>, Gauge>::default();
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        build.get_or_create(&version).set(1);
        registry.register(RELOAD_NAMES[2], "Version of the program (always 1)", build);
        reloads
    }

    /// Records the result of a load of the configuration.
    pub fn record(&self, is_success: bool, now: Timestamp) {
        self.successful.set(i64::from(is_success));
        if is_success {
            self.timestamp.set(now.as_duration().as_secs_f64());
        }
    }
}

type Labels<'a, const N: usize> = [(&'static str, &'a str); N];

impl Collector for Probes {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let snapshot = self.engine.snapshot();
        self.totals(&snapshot, &mut encoder)?;
        self.durations(&snapshot, &mut encoder)?;
        self.errors(&snapshot, &mut encoder)?;
        self.failures(&snapshot, &mut encoder)?;
        self.transitions(&snapshot, &mut encoder)?;
        self.statuses(&snapshot, &mut encoder)?;
        self.certificates(&snapshot, &mut encoder)?;
        self.groups(&snapshot, &mut encoder)?;
        self.schedule_delay(&mut encoder)
    }
}

impl Probes {
    /// Returns the labels of the kubelet for a probe.
    fn labels<'a>(&'a self, entry: &'a ProbeHandle) -> Labels<'a, 4> {
        [
            ("probe_type", entry.spec.kind.as_str()),
            ("container", &entry.target),
            ("pod", &self.pod.name),
            ("namespace", &self.pod.namespace),
        ]
    }

    /// Returns the labels of a probe with an additional one.
    fn labels_and<'a>(
        &'a self,
        entry: &'a ProbeHandle,
        name: &'static str,
        value: &'a str,
    ) -> Labels<'a, 5> {
        let [kind, container, pod, namespace] = self.labels(entry);
        [kind, container, pod, namespace, (name, value)]
    }

    fn totals(&self, snapshot: &Snapshot, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help =
            "Cumulative number of a liveness, readiness or startup probe for a container by result";
        let mut metric =
            encoder.encode_descriptor("prober_probe", help, None, MetricType::Counter)?;
        for entry in snapshot.probes() {
            let (successful, failed) = {
                let totals = &entry.state().totals;
                (totals.successful, totals.failed)
            };
            for (result, count) in [("successful", successful), ("failed", failed)] {
                let [kind, container, pod, namespace] = self.labels(entry);
                let uid = ("pod_uid", self.pod.uid.as_str());
                let labels = [kind, ("result", result), container, pod, namespace, uid];
                counter(&mut metric, &labels, count)?;
            }
        }
        Ok(())
    }

    fn durations(&self, snapshot: &Snapshot, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Duration in seconds for a probe response";
        let unit = Unit::Seconds;
        let mut metric = encoder.encode_descriptor(
            "prober_probe_duration",
            help,
            Some(&unit),
            MetricType::Histogram,
        )?;
        for entry in snapshot.probes() {
            let (seconds, counts) = {
                let totals = &entry.state().totals;
                (totals.seconds, totals.buckets.map(u64::from))
            };
            let labels = self.labels(entry);
            histogram(&mut metric, Some(&labels), seconds, &BUCKETS, &counts)?;
        }
        Ok(())
    }

    fn errors(&self, snapshot: &Snapshot, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Total number of attempts that could not be made or judged";
        let name = "probe_sidecar_probe_errors";
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for entry in snapshot.probes() {
            let errors = entry.state().totals.errors;
            counter(&mut metric, &self.labels(entry), errors)?;
        }
        Ok(())
    }

    fn failures(&self, snapshot: &Snapshot, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Total number of failed attempts by reason";
        let name = "probe_sidecar_probe_failures";
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for entry in snapshot.probes() {
            let reasons = entry.state().totals.reasons.clone();
            for (reason, count) in reasons {
                counter(
                    &mut metric,
                    &self.labels_and(entry, "reason", reason),
                    count,
                )?;
            }
        }
        Ok(())
    }

    fn transitions(&self, snapshot: &Snapshot, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Total number of transitions of a probe by its new status";
        let name = "probe_sidecar_probe_transitions";
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for entry in snapshot.probes() {
            let transitions = entry.state().totals.transitions.clone();
            for (status, count) in transitions {
                let labels = self.labels_and(entry, "status", status.as_str());
                counter(&mut metric, &labels, count)?;
            }
        }
        Ok(())
    }

    fn statuses(&self, snapshot: &Snapshot, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let now = self.engine.now();
        let help = "Current status of the probe (1 for the current status, 0 for all others)";
        let name = "probe_sidecar_probe_status";
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for entry in snapshot.probes() {
            let is = entry.status(now);
            for status in Status::ALL {
                let labels = self.labels_and(entry, "status", status.as_str());
                gauge(&mut metric, &labels, i64::from(is == status))?;
            }
        }
        let help = "Result of the probe as served by endpoints (1 healthy, 0 unhealthy)";
        let name = "probe_sidecar_probe_healthy";
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for entry in snapshot.probes() {
            let healthy = entry.is_healthy(entry.status(now));
            gauge(&mut metric, &self.labels(entry), i64::from(healthy))?;
        }
        Ok(())
    }

    fn certificates(
        &self,
        snapshot: &Snapshot,
        encoder: &mut DescriptorEncoder<'_>,
    ) -> fmt::Result {
        let help = "Unix time at which the certificate of the server expires";
        let name = "probe_sidecar_certificate_expiry_timestamp";
        let unit = Unit::Seconds;
        let mut metric = encoder.encode_descriptor(name, help, Some(&unit), MetricType::Gauge)?;
        for entry in snapshot.probes() {
            if let Some(seconds) = entry.certificate_expiry() {
                gauge(&mut metric, &self.labels(entry), seconds)?;
            }
        }
        Ok(())
    }

    fn groups(&self, snapshot: &Snapshot, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Result of the group (1 healthy, 0 unhealthy)";
        let name = "probe_sidecar_group_healthy";
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for group in &snapshot.groups {
            let healthy = snapshot.group_status(group, self.engine.now()).healthy;
            let labels = [("group", group.spec.name.as_str())];
            gauge(&mut metric, &labels, i64::from(healthy))?;
        }
        Ok(())
    }

    fn schedule_delay(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Delay in seconds between the scheduled and the actual start of an attempt";
        let unit = Unit::Seconds;
        let mut metric = encoder.encode_descriptor(
            "probe_sidecar_schedule_delay",
            help,
            Some(&unit),
            MetricType::Histogram,
        )?;
        let late = self.engine.schedule_delay();
        let total = late.total().as_secs_f64();
        let labels: Option<&Labels<'_, 0>> = None;
        histogram(
            &mut metric,
            labels,
            total,
            &schedule_delay::BOUNDS,
            &late.counts(),
        )
    }
}

fn counter<const N: usize>(
    metric: &mut MetricEncoder<'_>,
    labels: &Labels<'_, N>,
    count: u64,
) -> fmt::Result {
    let mut one = metric.encode_family(labels)?;
    one.encode_counter::<Labels<'_, 0>, _, f64>(&count, None)
}

fn gauge<const N: usize>(
    metric: &mut MetricEncoder<'_>,
    labels: &Labels<'_, N>,
    value: i64,
) -> fmt::Result {
    metric.encode_family(labels)?.encode_gauge(&value)
}

/// Encodes one histogram series. `counts` has one element more than `bounds`: the bucket `+Inf`.
///
/// The encoder writes `+Inf` for an infinite bound only; without that bucket Prometheus computes no quantile.
fn histogram<const N: usize>(
    metric: &mut MetricEncoder<'_>,
    labels: Option<&Labels<'_, N>>,
    sum: f64,
    bounds: &[f64],
    counts: &[u64],
) -> fmt::Result {
    let bounds = bounds.iter().copied().chain([f64::INFINITY]);
    let buckets: Vec<(f64, u64)> = bounds.zip(counts.iter().copied()).collect();
    let count = counts.iter().sum();
    match labels {
        Some(labels) => metric
            .encode_family(labels)?
            .encode_histogram::<Labels<'_, 0>>(sum, count, &buckets, None),
        None => metric.encode_histogram::<Labels<'_, 0>>(sum, count, &buckets, None),
    }
}
