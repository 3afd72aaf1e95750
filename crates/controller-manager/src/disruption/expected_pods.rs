//! Arithmetic of a disruption budget: expected and desired healthy pods.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct ExpectedPods {
    pub(super) expected: i32,
    pub(super) healthy: i32,
}

/// Computes the numbers from `minAvailable` or `maxUnavailable`. An absolute `minAvailable` does not need the scale of the owning
/// controllers, so `scale` is called only if necessary.
pub(super) fn compute(
    min_available: Option<&IntOrString>,
    max_unavailable: Option<&IntOrString>,
    pod_count: i32,
    expected_scale: impl FnOnce() -> i32,
) -> ExpectedPods {
    match (min_available, max_unavailable) {
        (_, Some(max_unavailable)) => {
            let expected = expected_scale();
            let healthy = (expected - resolve(max_unavailable, expected)).max(0);
            ExpectedPods { expected, healthy }
        }
        (Some(IntOrString::Int(min_available)), None) => ExpectedPods {
            expected: pod_count,
            healthy: *min_available,
        },
        (Some(min_available), None) => {
            let expected = expected_scale();
            let healthy = resolve(min_available, expected);
            ExpectedPods { expected, healthy }
        }
        // Without a bound no pod is required.
        (None, None) => ExpectedPods {
            expected: pod_count,
            healthy: 0,
        },
    }
}

/// Resolves a number or a percentage of `whole`. Percentages are rounded up, so that the budget never protects less than it states.
fn resolve(value: &IntOrString, whole: i32) -> i32 {
    match value {
        IntOrString::Int(number) => *number,
        IntOrString::String(text) => {
            let percent: i64 = text.trim_end_matches('%').parse().unwrap_or(0);
            let part = (i64::from(whole) * percent + 99) / 100;
            i32::try_from(part).unwrap_or(i32::MAX)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(number: i32) -> Option<IntOrString> {
        Some(IntOrString::Int(number))
    }

    fn percent(text: &str) -> Option<IntOrString> {
        Some(IntOrString::String(text.to_owned()))
    }

    #[test]
    fn absolute_minimum_counts_existing_pods_and_others_count_expected_ones() {
        // Three of five expected pods exist.
        for (min_available, max_unavailable, expected, healthy) in [
            (number(2), None, 3, 2),
            (number(9), None, 3, 9),
            (percent("50%"), None, 5, 3),
            (percent("100%"), None, 5, 5),
            (None, number(1), 5, 4),
            (None, number(9), 5, 0),
            (None, percent("30%"), 5, 3),
            (None, percent("0%"), 5, 5),
            (None, None, 3, 0),
        ] {
            let found = compute(min_available.as_ref(), max_unavailable.as_ref(), 3, || 5);
            assert_eq!(
                found,
                ExpectedPods { expected, healthy },
                "{min_available:?} {max_unavailable:?}"
            );
        }
    }
}
