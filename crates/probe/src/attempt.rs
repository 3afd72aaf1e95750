//! One check: an attempt, made again only if it could not be made, and told of in events.

use std::time::Duration;

use crate::event::EventSink;
use crate::outcome::{Outcome, ProbeError, Verdict};
use crate::prober::{Action, Prober, Target};
use crate::results::ProbeKind;

/// How often an attempt that ends in an error is made, without a pause. A failure is never made again.
const ATTEMPTS: usize = 3;

/// Makes one check; true is success, none is an error and counts for nothing.
pub(crate) async fn check(
    prober: &dyn Prober,
    events: &dyn EventSink,
    kind: ProbeKind,
    target: &Target,
    action: Result<Action, ProbeError>,
    timeout: Duration,
) -> Option<bool> {
    let answer = match action {
        Ok(action) => attempts(prober, target, &action, timeout).await,
        Err(error) => Err(error),
    };
    let name = kind.as_str();
    match answer {
        Err(error) => {
            let state = if error.verdict == Verdict::Failure {
                "failure"
            } else {
                "unknown"
            };
            let message = format!("{name} probe errored and resulted in {state} state: {error}");
            events.warning(target, "Unhealthy", message);
            None
        }
        Ok(Outcome {
            verdict: Verdict::Success,
            ..
        }) => Some(true),
        Ok(Outcome {
            verdict: Verdict::Warning,
            output,
            ..
        }) => {
            events.warning(
                target,
                "ProbeWarning",
                format!("{name} probe warning: {output}"),
            );
            Some(true)
        }
        Ok(Outcome {
            verdict: Verdict::Failure,
            output,
            ..
        }) => {
            events.warning(
                target,
                "Unhealthy",
                format!("{name} probe failed: {output}"),
            );
            Some(false)
        }
        // Counted like a failure, and not worth an event.
        Ok(Outcome {
            verdict: Verdict::Unknown,
            ..
        }) => Some(false),
    }
}

async fn attempts(
    prober: &dyn Prober,
    target: &Target,
    action: &Action,
    timeout: Duration,
) -> Result<Outcome, ProbeError> {
    let mut answer = prober.probe(target, action, timeout).await;
    for _ in 1..ATTEMPTS {
        if answer.is_ok() {
            break;
        }
        answer = prober.probe(target, action, timeout).await;
    }
    answer
}
