//! What the probes add up to, for Prometheus: by the kubelet's names and labels, and what the kubelet does not tell.
//!
//! Nothing is kept twice: the numbers are read from the probes when somebody asks.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use crate::engine::state::Status;
use crate::engine::totals::BUCKETS;
use crate::engine::{Engine, Entry, Set, lateness};

/// The pod's labels.
#[derive(Clone, Debug, Default)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its UID.
    pub uid: String,
}

/// Reads the engine.
#[derive(Debug)]
pub struct Probes {
    /// Whose numbers.
    pub engine: Engine,
    /// Where it runs.
    pub pod: Pod,
}

/// The names of every metric here, as they are scraped.
pub const NAMES: [&str; 9] = [
    "prober_probe_total",
    "prober_probe_duration_seconds",
    "probe_sidecar_probe_errors_total",
    "probe_sidecar_probe_failures_total",
    "probe_sidecar_probe_transitions_total",
    "probe_sidecar_probe_status",
    "probe_sidecar_probe_healthy",
    "probe_sidecar_group_healthy",
    "probe_sidecar_lateness_seconds",
];

type Labels<'a, const N: usize> = [(&'static str, &'a str); N];

impl Collector for Probes {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let set = self.engine.set();
        self.totals(&set, &mut encoder)?;
        self.durations(&set, &mut encoder)?;
        self.errors(&set, &mut encoder)?;
        self.failures(&set, &mut encoder)?;
        self.transitions(&set, &mut encoder)?;
        self.statuses(&set, &mut encoder)?;
        self.groups(&set, &mut encoder)?;
        self.lateness(&mut encoder)
    }
}

impl Probes {
    /// The kubelet's labels of a probe.
    fn labels<'a>(&'a self, entry: &'a Entry) -> Labels<'a, 4> {
        [
            ("probe_type", entry.spec.kind.as_str()),
            ("container", &entry.target),
            ("pod", &self.pod.name),
            ("namespace", &self.pod.namespace),
        ]
    }

    /// The same, and one more.
    fn labels_and<'a>(
        &'a self,
        entry: &'a Entry,
        name: &'static str,
        value: &'a str,
    ) -> Labels<'a, 5> {
        let [kind, container, pod, namespace] = self.labels(entry);
        [kind, container, pod, namespace, (name, value)]
    }

    fn totals(&self, set: &Set, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help =
            "Cumulative number of a liveness, readiness or startup probe for a container by result";
        let mut metric =
            encoder.encode_descriptor("prober_probe", help, None, MetricType::Counter)?;
        for entry in set.probes() {
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

    fn durations(&self, set: &Set, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Duration in seconds for a probe response";
        let unit = Unit::Seconds;
        let mut metric = encoder.encode_descriptor(
            "prober_probe_duration",
            help,
            Some(&unit),
            MetricType::Histogram,
        )?;
        for entry in set.probes() {
            let (seconds, counts) = {
                let totals = &entry.state().totals;
                (totals.seconds, totals.buckets.map(u64::from))
            };
            let labels = self.labels(entry);
            histogram(&mut metric, Some(&labels), seconds, &BUCKETS, &counts)?;
        }
        Ok(())
    }

    fn errors(&self, set: &Set, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Attempts that could not be made and say nothing of their target";
        let name = "probe_sidecar_probe_errors";
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for entry in set.probes() {
            let errors = entry.state().totals.errors;
            counter(&mut metric, &self.labels(entry), errors)?;
        }
        Ok(())
    }

    fn failures(&self, set: &Set, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Failed attempts by reason";
        let name = "probe_sidecar_probe_failures";
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for entry in set.probes() {
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

    fn transitions(&self, set: &Set, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Total number of transitions of a probe by its new status";
        let name = "probe_sidecar_probe_transitions";
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for entry in set.probes() {
            let transitions = entry.state().totals.transitions.clone();
            for (status, count) in transitions {
                let labels = self.labels_and(entry, "status", status.as_str());
                counter(&mut metric, &labels, count)?;
            }
        }
        Ok(())
    }

    fn statuses(&self, set: &Set, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let now = self.engine.now();
        let help = "Whether this is what is known: 1 for one of the statuses, 0 for the others";
        let name = "probe_sidecar_probe_status";
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for entry in set.probes() {
            let is = entry.status(now);
            for status in Status::ALL {
                let labels = self.labels_and(entry, "status", status.as_str());
                gauge(&mut metric, &labels, i64::from(is == status))?;
            }
        }
        let help = "Whether endpoints call it healthy";
        let name = "probe_sidecar_probe_healthy";
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for entry in set.probes() {
            let healthy = entry.is_healthy(entry.status(now));
            gauge(&mut metric, &self.labels(entry), i64::from(healthy))?;
        }
        Ok(())
    }

    fn groups(&self, set: &Set, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Whether a group is healthy";
        let name = "probe_sidecar_group_healthy";
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for group in &set.groups {
            let healthy = set.standing(group, self.engine.now()).healthy;
            let labels = [("group", group.spec.name.as_str())];
            gauge(&mut metric, &labels, i64::from(healthy))?;
        }
        Ok(())
    }

    fn lateness(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "How long after it was due an attempt began";
        let unit = Unit::Seconds;
        let mut metric = encoder.encode_descriptor(
            "probe_sidecar_lateness",
            help,
            Some(&unit),
            MetricType::Histogram,
        )?;
        let late = self.engine.lateness();
        let total = late.total().as_secs_f64();
        let labels: Option<&Labels<'_, 0>> = None;
        histogram(
            &mut metric,
            labels,
            total,
            &lateness::BOUNDS,
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
