//! How long a fault lasts: until it is found, until the container is restarted, until the service answers again.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};

/// A service that breaks by being called, and what to wait for then.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Outage {
    /// Application that breaks; default: the exercise's first.
    pub(crate) app: Option<String>,
    /// Who is to find the fault: claims compare them by this name.
    pub(crate) found_by: String,
    /// Path of the call that breaks it, and that is answered `200` again in the end.
    pub(crate) path: String,
    /// Where the fault shows as `503`; without it, in the pod, which is not ready any more or restarted.
    pub(crate) seen_at: Option<SeenAt>,
    /// Seconds after which the exercise gives up.
    pub(crate) within: u64,
}

/// A page that tells of the fault.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct SeenAt {
    /// Application whose service has the page.
    pub(crate) app: String,
    /// Path of the page.
    pub(crate) path: String,
}

/// An outage that is over; times are the cluster's, from the first call that failed.
#[derive(Clone, Debug, Serialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Measured {
    /// Who found it.
    pub(crate) found_by: String,
    /// Until it was found.
    #[serde(rename = "detectedSeconds", serialize_with = "seconds")]
    pub(crate) detected: Duration,
    /// Until the container was restarted.
    #[serde(rename = "restartedSeconds", serialize_with = "seconds")]
    pub(crate) restarted: Duration,
    /// Until a call was answered again.
    #[serde(rename = "servedSeconds", serialize_with = "seconds")]
    pub(crate) served: Duration,
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

/// Part of an outage.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Part {
    /// Until the fault was found.
    Detected,
    /// Until the container was restarted.
    Restarted,
    /// Until a call was answered again.
    Served,
}

impl Measured {
    /// Orders the observed times: detection, restart, service.
    ///
    /// Each is sampled on its own, so a cause can be observed after its effect. It happened no later than the effect.
    pub(crate) fn new(
        found_by: &str,
        detected: Duration,
        restarted: Duration,
        served: Duration,
    ) -> Self {
        let restarted = restarted.min(served);
        Self {
            found_by: found_by.to_owned(),
            detected: detected.min(restarted),
            restarted,
            served,
        }
    }

    pub(crate) fn part(&self, part: Part) -> Duration {
        match part {
            Part::Detected => self.detected,
            Part::Restarted => self.restarted,
            Part::Served => self.served,
        }
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [detected, restarted, served] =
            [self.detected, self.restarted, self.served].map(|part| part.as_secs_f64());
        write!(
            f,
            "found by {}: detected after {detected:.1} s, restarted after {restarted:.1} s, serves again after {served:.1} s",
            self.found_by
        )
    }
}

/// That one outage, or a part of it, was shorter than another.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Sooner {
    /// Which part.
    pub(crate) part: Part,
    /// The shorter one, by who found it.
    pub(crate) by: String,
    /// The longer one, by who found it.
    pub(crate) than: String,
    /// How many times as long that one was, at least.
    pub(crate) times: u32,
}

impl Sooner {
    /// Returns `true` if both outages were measured.
    pub(crate) fn is_measured(&self, outages: &[Measured]) -> bool {
        self.lengths(outages).is_some()
    }

    /// Lengths of the outage that has to be shorter and of the other one; of several by one name the newest counts.
    fn lengths(&self, outages: &[Measured]) -> Option<(Duration, Duration)> {
        let of = |name: &String| {
            let found = outages.iter().rev().find(|outage| outage.found_by == *name);
            found.map(|outage| outage.part(self.part))
        };
        Some((of(&self.by)?, of(&self.than)?))
    }

    /// Compares the two outages; the error is what was measured.
    pub(crate) fn judge(&self, outages: &[Measured]) -> Result<(), String> {
        let Some((shorter, longer)) = self.lengths(outages) else {
            return Err("not every outage was measured".to_owned());
        };
        if longer >= shorter * self.times {
            return Ok(());
        }
        Err(format!(
            "{}: {:.1} s, {}: {:.1} s",
            self.by,
            shorter.as_secs_f64(),
            self.than,
            longer.as_secs_f64()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outage(found_by: &str, seconds: [u64; 3]) -> Measured {
        let [detected, restarted, served] = seconds.map(Duration::from_secs);
        Measured::new(found_by, detected, restarted, served)
    }

    #[test]
    fn detection_is_never_after_the_restart_nor_the_restart_after_the_service() {
        for (observed, ordered) in [
            ([1, 2, 3], [1, 2, 3]),
            ([9, 5, 7], [5, 5, 7]),
            ([9, 8, 7], [7, 7, 7]),
            ([2, 8, 7], [2, 7, 7]),
        ] {
            let measured = outage("kubelet", observed);
            let parts = [Part::Detected, Part::Restarted, Part::Served];
            let parts = parts.map(|part| measured.part(part).as_secs());
            assert_eq!(parts, ordered, "{observed:?}");
        }
    }

    #[track_caller]
    fn check(part: Part, times: u32, expected: Result<(), &str>) {
        let outages = [
            outage("kubelet", [12, 20, 24]),
            outage("sidecar", [1, 4, 6]),
        ];
        let claim = Sooner {
            part,
            by: "sidecar".to_owned(),
            than: "kubelet".to_owned(),
            times,
        };
        assert_eq!(
            claim.judge(&outages),
            expected.map_err(str::to_owned),
            "{claim:?}"
        );
    }

    #[test]
    fn an_outage_is_sooner_over_if_the_other_lasted_so_many_times_as_long() {
        check(Part::Detected, 12, Ok(()));
        check(Part::Detected, 13, Err("sidecar: 1.0 s, kubelet: 12.0 s"));
        check(Part::Restarted, 5, Ok(()));
        check(Part::Restarted, 6, Err("sidecar: 4.0 s, kubelet: 20.0 s"));
        check(Part::Served, 4, Ok(()));
        check(Part::Served, 5, Err("sidecar: 6.0 s, kubelet: 24.0 s"));
    }

    #[test]
    fn an_outage_that_was_not_measured_makes_no_comparison_hold() {
        let claim = Sooner {
            part: Part::Served,
            by: "sidecar".to_owned(),
            than: "kubelet".to_owned(),
            times: 1,
        };
        assert!(claim.judge(&[outage("sidecar", [1, 1, 1])]).is_err());
    }

    #[test]
    fn the_newest_outage_of_a_name_counts() {
        let outages = [
            outage("kubelet", [3, 3, 3]),
            outage("sidecar", [9, 9, 9]),
            outage("sidecar", [1, 1, 1]),
        ];
        let claim = Sooner {
            part: Part::Served,
            by: "sidecar".to_owned(),
            than: "kubelet".to_owned(),
            times: 3,
        };
        assert_eq!(claim.judge(&outages), Ok(()));
    }

    #[test]
    fn programs_read_seconds_and_people_a_sentence() {
        let outage = outage("kubelet", [12, 20, 24]);
        let json = serde_json::to_value(&outage).unwrap();
        let expected = serde_json::json!({
            "foundBy": "kubelet", "detectedSeconds": 12.0, "restartedSeconds": 20.0, "servedSeconds": 24.0,
        });
        assert_eq!(json, expected);
        let sentence = "found by kubelet: detected after 12.0 s, restarted after 20.0 s, serves again after 24.0 s";
        assert_eq!(outage.to_string(), sentence);
    }
}
