//! One probe as the kubelet's `prober.probe` runs it: an attempt, retries after errors, and an event.

use std::time::Duration;

use crate::event::EventSink;
use crate::outcome::{Outcome, ProbeError, Verdict};
use crate::prober::{ProbeTarget, Prober, ResolvedHandler};
use crate::results::ProbeKind;

/// Number of attempts while each ends in an error; there is no pause between them. A failure is not retried.
const MAX_PROBE_RETRIES: usize = 3;

/// Probes once. Returns `true` for a success, `false` for a failure, and `None` for an error, which must not be counted.
pub(crate) async fn probe(
    prober: &dyn Prober,
    events: &dyn EventSink,
    kind: ProbeKind,
    target: &ProbeTarget,
    handler: Result<ResolvedHandler, ProbeError>,
    timeout: Duration,
) -> Option<bool> {
    let outcome = match handler {
        Ok(handler) => run_probe_with_retries(prober, target, &handler, timeout).await,
        Err(error) => Err(error),
    };
    let name = kind.as_str();
    let Outcome {
        verdict, output, ..
    } = match outcome {
        Ok(outcome) => outcome,
        Err(error) => {
            let state = if error.verdict == Verdict::Failure {
                "failure"
            } else {
                "unknown"
            };
            let message = format!("{name} probe errored and resulted in {state} state: {error}");
            events.warning(target, "Unhealthy", message);
            return None;
        }
    };
    match verdict {
        Verdict::Success => {}
        Verdict::Warning => {
            let message = format!("{name} probe warning: {output}");
            events.warning(target, "ProbeWarning", message);
        }
        Verdict::Failure => {
            let message = format!("{name} probe failed: {output}");
            events.warning(target, "Unhealthy", message);
        }
        // The kubelet counts it as a failure and records no event.
        Verdict::Unknown => {}
    }
    Some(matches!(verdict, Verdict::Success | Verdict::Warning))
}

async fn run_probe_with_retries(
    prober: &dyn Prober,
    target: &ProbeTarget,
    handler: &ResolvedHandler,
    timeout: Duration,
) -> Result<Outcome, ProbeError> {
    let mut outcome = prober.probe(target, handler, timeout).await;
    for _ in 1..MAX_PROBE_RETRIES {
        if outcome.is_ok() {
            break;
        }
        outcome = prober.probe(target, handler, timeout).await;
    }
    outcome
}
