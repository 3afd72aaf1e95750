//! Times as the API has them.

use jiff::{Timestamp, Unit};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// The API's times have whole seconds.
#[must_use]
pub fn seconds(at: Timestamp) -> Time {
    let whole = jiff::TimestampRound::new()
        .smallest(Unit::Second)
        .mode(jiff::RoundMode::Floor);
    Time(at.round(whole).unwrap_or(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_cut_to_whole_seconds() {
        assert_eq!(
            seconds(Timestamp::from_millisecond(5_999).unwrap()),
            Time(Timestamp::from_second(5).unwrap())
        );
    }
}
