//! Timestamps in the API's precision.

use jiff::{Timestamp, Unit};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// Truncates a timestamp to whole seconds, which is the API's precision.
#[must_use]
pub fn truncate_to_seconds(at: Timestamp) -> Time {
    let whole = jiff::TimestampRound::new()
        .smallest(Unit::Second)
        .mode(jiff::RoundMode::Floor);
    Time(at.round(whole).unwrap_or(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_truncated_to_whole_seconds() {
        assert_eq!(
            truncate_to_seconds(Timestamp::from_millisecond(5_999).unwrap()),
            Time(Timestamp::from_second(5).unwrap())
        );
    }
}
