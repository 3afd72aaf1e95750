//! Judges assertions by the observations.

use super::Check;
use super::observe::{AppState, Observations, PodState};

/// Result of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// The check passes.
    Pass,
    /// The check fails; the text is the contradicting observation.
    Fail(String),
    /// An observation is missing; the text names it.
    NotJudged(String),
}

/// Judges one check of an application. A check that would pass only because nothing ran is not judged.
pub(crate) fn judge(check: &Check, app: &str, observations: &Observations) -> Judgement {
    if let Some(missing) = missing_observation(check, app, observations) {
        return Judgement::NotJudged(missing);
    }
    match compare(check, app, observations) {
        Ok(()) => Judgement::Pass,
        Err(observed) => Judgement::Fail(observed),
    }
}

/// Returns the observation that `check` requires and that is missing.
fn missing_observation(check: &Check, app: &str, observations: &Observations) -> Option<String> {
    let state = observations.app(app);
    let (is_missing, subject) = match check {
        Check::Restarts(_)
        | Check::EachRestarted
        | Check::Ready(_)
        | Check::Waiting(_)
        | Check::Logged(_) => (state.pods.is_empty(), format!("no pod of {app}")),
        Check::SamePods | Check::PodsUnchanged | Check::PodsReplaced => (
            state.checkpoint_pods.is_empty(),
            format!("no pod of {app} before the change"),
        ),
        Check::Endpoints(_) | Check::EndpointsAtLeast(_) => (
            state.endpoints.is_empty(),
            format!("no address of service {app}"),
        ),
        Check::RolledOut(_) => (
            state.rolled_out.is_none() || state.pods.is_empty(),
            format!("no pod of deployment {app}"),
        ),
        Check::NoFailedRequests => (observations.load.requests == 0, "no request".to_owned()),
        Check::Faster(faster) => (
            !faster.is_measured(&observations.outages),
            "not every outage".to_owned(),
        ),
        Check::PageContains(_) => (false, String::new()),
    };
    is_missing.then(|| format!("{subject} was observed"))
}

/// # Errors
/// The observation that contradicts the check.
fn compare(check: &Check, app: &str, observations: &Observations) -> Result<(), String> {
    let state = observations.app(app);
    match check {
        Check::Endpoints(expected) => check_endpoint_sequence(expected, &state.endpoints),
        Check::EndpointsAtLeast(minimum) => check_endpoint_minimum(*minimum, &state.endpoints),
        Check::Restarts(expected) => check_equal("restarts", expected, &restarts(state)),
        Check::EachRestarted => check_each_restarted(state),
        Check::Ready(expected) => check_equal(
            "ready pods",
            expected,
            &state.pods.values().filter(|pod| pod.ready).count(),
        ),
        Check::Waiting(expected) => check_waiting(expected, state),
        Check::RolledOut(expected) => {
            check_equal("rolled out", &Some(*expected), &state.rolled_out)
        }
        Check::Logged(expected) => {
            let mut observed: Vec<&String> = state.logged.values().collect();
            observed.sort_unstable();
            check_equal("words in the logs", &expected.iter().collect(), &observed)
        }
        Check::SamePods => check_same_pods(state),
        Check::PodsUnchanged => check_pods_unchanged(state),
        Check::PodsReplaced => check_pods_replaced(state),
        Check::PageContains(text) if observations.page_texts.contains(text) => Ok(()),
        Check::PageContains(text) => Err(format!("no page contained {text:?}")),
        Check::NoFailedRequests => check_no_failed_requests(observations),
        Check::Faster(faster) => faster.judge(&observations.outages),
    }
}

fn check_equal<T: PartialEq + std::fmt::Debug>(
    subject: &str,
    expected: &T,
    observed: &T,
) -> Result<(), String> {
    if expected == observed {
        Ok(())
    } else {
        Err(format!(
            "{subject}: expected {expected:?}, observed {observed:?}"
        ))
    }
}

/// Checks that the observed numbers pass through the expected ones in order, and that no other number occurs.
///
/// A number may occur again. A kubelet that has restarted a container may probe the new one while its status is still the
/// old one's; the pod is then in the service for a moment, leaves it, and returns.
fn check_endpoint_sequence(expected: &[usize], observed: &[usize]) -> Result<(), String> {
    let mut rest = observed.iter();
    let is_in_order = expected
        .iter()
        .all(|number| rest.any(|other| other == number));
    let has_no_other = observed.iter().all(|number| expected.contains(number));
    let has_same_ends = expected.first() == observed.first() && expected.last() == observed.last();
    if is_in_order && has_no_other && has_same_ends {
        Ok(())
    } else {
        Err(format!(
            "endpoint addresses: expected {expected:?}, observed {observed:?}"
        ))
    }
}

fn check_endpoint_minimum(minimum: usize, observed: &[usize]) -> Result<(), String> {
    if observed.iter().min().is_some_and(|least| *least >= minimum) {
        return Ok(());
    }
    Err(format!(
        "endpoint addresses: expected {minimum} or more, observed {observed:?}"
    ))
}

/// Restarts of each pod since the checkpoint, in ascending order.
fn restarts(state: &AppState) -> Vec<i32> {
    let mut counts: Vec<i32> = state
        .pods
        .iter()
        .map(|(uid, pod)| pod.restarts - state.restarts_at_checkpoint(uid))
        .collect();
    counts.sort_unstable();
    counts
}

fn check_each_restarted(state: &AppState) -> Result<(), String> {
    if state.is_each_restarted() {
        return Ok(());
    }
    Err(format!(
        "restarts: expected one of every pod, observed {:?}",
        restarts(state)
    ))
}

fn check_waiting(expected: &str, state: &AppState) -> Result<(), String> {
    let reasons: Vec<&String> = state.waiting_reasons().collect();
    if reasons.iter().any(|reason| *reason == expected) {
        return Ok(());
    }
    Err(format!(
        "waiting containers: expected {expected:?}, observed {reasons:?}"
    ))
}

fn check_same_pods(state: &AppState) -> Result<(), String> {
    check_pods_exist(state)?;
    let is_new = |(uid, _): &(&String, &PodState)| !state.checkpoint_pods.contains_key(*uid);
    match state.pods.iter().find(is_new) {
        Some((_, pod)) => Err(format!("pod {} is new", pod.name)),
        None => Ok(()),
    }
}

/// Checks that every pod of the checkpoint exists at the same address.
fn check_pods_exist(state: &AppState) -> Result<(), String> {
    for (uid, before) in &state.checkpoint_pods {
        let Some(now) = state.pods.get(uid) else {
            return Err(format!("pod {} was deleted", before.name));
        };
        if now.ip != before.ip {
            return Err(format!(
                "pod {} had address {:?} and has {:?}",
                before.name, before.ip, now.ip
            ));
        }
    }
    Ok(())
}

fn check_pods_unchanged(state: &AppState) -> Result<(), String> {
    check_pods_exist(state)?;
    let changed = state.checkpoint_pods.iter().find(|(uid, before)| {
        let now = state.pods.get(*uid);
        now.is_none_or(|now| now.restarts != before.restarts || now.ready != before.ready)
    });
    match changed {
        Some((_, before)) => Err(format!(
            "pod {} was restarted or is not ready any more",
            before.name
        )),
        None => Ok(()),
    }
}

fn check_pods_replaced(state: &AppState) -> Result<(), String> {
    if state.pods.is_empty() {
        return Err("there is no pod".to_owned());
    }
    let is_old = |(uid, _): &(&String, &PodState)| state.checkpoint_pods.contains_key(*uid);
    if let Some((_, pod)) = state.pods.iter().find(is_old) {
        return Err(format!("pod {} still exists", pod.name));
    }
    match state.pods.values().find(|pod| pod.restarts > 0) {
        Some(pod) => Err(format!("pod {} was restarted", pod.name)),
        None => Ok(()),
    }
}

fn check_no_failed_requests(observations: &Observations) -> Result<(), String> {
    let load = &observations.load;
    match load.failures.first() {
        Some(first) => Err(format!(
            "{} of {} requests failed; the first: {first}",
            load.failures.len(),
            load.requests
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
