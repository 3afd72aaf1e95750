//! A budget's numbers: how many pods there are to be, and how many of them healthy.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) expected: i32,
    pub(super) healthy: i32,
}

/// Of `minAvailable` or `maxUnavailable`; a number of the first needs to know nobody who keeps the pods.
pub(super) fn wanted(
    min_available: Option<&IntOrString>,
    max_unavailable: Option<&IntOrString>,
    there: i32,
    asked_for: impl FnOnce() -> i32,
) -> Wanted {
    match (min_available, max_unavailable) {
        (_, Some(most)) => {
            let expected = asked_for();
            let healthy = (expected - scaled(most, expected)).max(0);
            Wanted { expected, healthy }
        }
        (Some(IntOrString::Int(least)), None) => Wanted {
            expected: there,
            healthy: *least,
        },
        (Some(least), None) => {
            let expected = asked_for();
            let healthy = scaled(least, expected);
            Wanted { expected, healthy }
        }
        // None is missed.
        (None, None) => Wanted {
            expected: there,
            healthy: 0,
        },
    }
}

/// A number, or a part of `whole`, rounded up: less protection than was asked for would be a surprise.
fn scaled(value: &IntOrString, whole: i32) -> i32 {
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
    fn a_budget_counts_what_is_there_or_what_is_asked_for() {
        // Three are there, of five that are asked for.
        for (least, most, expected, healthy) in [
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
            let found = wanted(least.as_ref(), most.as_ref(), 3, || 5);
            assert_eq!(found, Wanted { expected, healthy }, "{least:?} {most:?}");
        }
    }
}
