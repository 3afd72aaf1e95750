//! Duration of an outage: until it is detected, until the container is restarted, until the service is available again.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};

/// A service that fails after a call, and the end of the outage to wait for.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Outage {
    /// Application that fails; default: the exercise's first.
    pub(crate) app: Option<String>,
    /// Component that detects the fault; assertions identify the outage by this name.
    pub(crate) detected_by: String,
    /// Path of the request that causes the fault. The outage ends when it returns `200` again.
    pub(crate) path: String,
    /// Page that returns `503` during the fault. Without it, the fault is detected when the pod is not ready or restarted.
    pub(crate) detected_at: Option<StatusPage>,
    /// Timeout on the cluster's clock; after it the exercise fails.
    pub(crate) timeout_seconds: u64,
}

/// A page that reports faults.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct StatusPage {
    /// Application whose service has the page.
    pub(crate) app: String,
    /// Path of the page.
    pub(crate) path: String,
}

/// A completed outage. Durations are on the cluster's clock, from the first failed request.
#[derive(Clone, Debug, Serialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MeasuredOutage {
    /// Component that detected the fault.
    pub(crate) detected_by: String,
    /// Time until the fault was detected.
    #[serde(rename = "detectedSeconds", serialize_with = "serialize_seconds")]
    pub(crate) detected: Duration,
    /// Time until the container was restarted.
    #[serde(rename = "restartedSeconds", serialize_with = "serialize_seconds")]
    pub(crate) restarted: Duration,
    /// Time until a request succeeded again.
    #[serde(rename = "servedSeconds", serialize_with = "serialize_seconds")]
    pub(crate) served: Duration,
}

fn serialize_seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

/// Phase of an outage; each starts with the first failed request.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OutagePhase {
    /// Until the fault was detected.
    Detected,
    /// Until the container was restarted.
    Restarted,
    /// Until a request succeeded again.
    Served,
}

impl MeasuredOutage {
    /// Orders the observed times: detection, restart, service.
    ///
    /// Each is sampled on its own, so a cause can be observed after its effect. It happened no later than the effect.
    pub(crate) fn new(
        detected_by: &str,
        detected: Duration,
        restarted: Duration,
        served: Duration,
    ) -> Self {
        let restarted = restarted.min(served);
        Self {
            detected_by: detected_by.to_owned(),
            detected: detected.min(restarted),
            restarted,
            served,
        }
    }

    fn duration(&self, phase: OutagePhase) -> Duration {
        match phase {
            OutagePhase::Detected => self.detected,
            OutagePhase::Restarted => self.restarted,
            OutagePhase::Served => self.served,
        }
    }
}

impl fmt::Display for MeasuredOutage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [detected, restarted, served] =
            [self.detected, self.restarted, self.served].map(|duration| duration.as_secs_f64());
        write!(
            f,
            "{}: detected after {detected:.1} s, restarted after {restarted:.1} s, available again after {served:.1} s",
            self.detected_by
        )
    }
}

/// Check that a phase of one outage was shorter than that of another by a factor.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Faster {
    /// Compared phase.
    pub(crate) phase: OutagePhase,
    /// `detected-by` of the shorter outage.
    pub(crate) detector: String,
    /// `detected-by` of the longer outage.
    pub(crate) than: String,
    /// Minimum quotient of the longer and the shorter duration.
    pub(crate) factor: u32,
}

impl Faster {
    /// Returns `true` if both outages were measured.
    pub(crate) fn is_measured(&self, outages: &[MeasuredOutage]) -> bool {
        self.durations(outages).is_some()
    }

    /// Durations of the shorter and of the longer outage; the latest, if several have the same detector.
    fn durations(&self, outages: &[MeasuredOutage]) -> Option<(Duration, Duration)> {
        let latest = |name: &String| {
            let mut found = outages.iter().rev();
            let outage = found.find(|outage| outage.detected_by == *name);
            outage.map(|outage| outage.duration(self.phase))
        };
        Some((latest(&self.detector)?, latest(&self.than)?))
    }

    /// Compares the two outages.
    ///
    /// # Errors
    /// Both durations, if the check fails.
    pub(crate) fn judge(&self, outages: &[MeasuredOutage]) -> Result<(), String> {
        let Some((shorter, longer)) = self.durations(outages) else {
            return Err("not every outage was measured".to_owned());
        };
        if longer >= shorter * self.factor {
            return Ok(());
        }
        Err(format!(
            "{}: {:.1} s, {}: {:.1} s",
            self.detector,
            shorter.as_secs_f64(),
            self.than,
            longer.as_secs_f64()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outage(detected_by: &str, seconds: [u64; 3]) -> MeasuredOutage {
        let [detected, restarted, served] = seconds.map(Duration::from_secs);
        MeasuredOutage::new(detected_by, detected, restarted, served)
    }

    fn faster(phase: OutagePhase, factor: u32) -> Faster {
        Faster {
            phase,
            detector: "sidecar".to_owned(),
            than: "kubelet".to_owned(),
            factor,
        }
    }

    #[test]
    fn durations_of_an_outage_are_in_causal_order() {
        for (observed, ordered) in [
            ([1, 2, 3], [1, 2, 3]),
            ([9, 5, 7], [5, 5, 7]),
            ([9, 8, 7], [7, 7, 7]),
            ([2, 8, 7], [2, 7, 7]),
        ] {
            let measured = outage("kubelet", observed);
            let phases = [
                OutagePhase::Detected,
                OutagePhase::Restarted,
                OutagePhase::Served,
            ];
            let durations = phases.map(|phase| measured.duration(phase).as_secs());
            assert_eq!(durations, ordered, "{observed:?}");
        }
    }

    #[track_caller]
    fn assert_judged(phase: OutagePhase, factor: u32, expected: Result<(), &str>) {
        let outages = [
            outage("kubelet", [12, 20, 24]),
            outage("sidecar", [1, 4, 6]),
        ];
        let check = faster(phase, factor);
        assert_eq!(
            check.judge(&outages),
            expected.map_err(str::to_owned),
            "{check:?}"
        );
    }

    #[test]
    fn faster_passes_up_to_the_quotient_of_the_durations() {
        assert_judged(OutagePhase::Detected, 12, Ok(()));
        assert_judged(
            OutagePhase::Detected,
            13,
            Err("sidecar: 1.0 s, kubelet: 12.0 s"),
        );
        assert_judged(OutagePhase::Restarted, 5, Ok(()));
        assert_judged(
            OutagePhase::Restarted,
            6,
            Err("sidecar: 4.0 s, kubelet: 20.0 s"),
        );
        assert_judged(OutagePhase::Served, 4, Ok(()));
        assert_judged(
            OutagePhase::Served,
            5,
            Err("sidecar: 6.0 s, kubelet: 24.0 s"),
        );
    }

    #[test]
    fn faster_without_a_measured_outage_fails() {
        let check = faster(OutagePhase::Served, 1);
        assert!(check.judge(&[outage("sidecar", [1, 1, 1])]).is_err());
    }

    #[test]
    fn faster_with_several_outages_of_a_detector_compares_the_latest() {
        let outages = [
            outage("kubelet", [3, 3, 3]),
            outage("sidecar", [9, 9, 9]),
            outage("sidecar", [1, 1, 1]),
        ];
        assert_eq!(faster(OutagePhase::Served, 3).judge(&outages), Ok(()));
    }

    #[test]
    fn measured_outage_is_seconds_in_json_and_a_sentence_in_text() {
        let outage = outage("kubelet", [12, 20, 24]);
        let json = serde_json::to_value(&outage).unwrap();
        let expected = serde_json::json!({
            "detectedBy": "kubelet", "detectedSeconds": 12.0, "restartedSeconds": 20.0, "servedSeconds": 24.0,
        });
        assert_eq!(json, expected);
        let sentence =
            "kubelet: detected after 12.0 s, restarted after 20.0 s, available again after 24.0 s";
        assert_eq!(outage.to_string(), sentence);
    }
}
