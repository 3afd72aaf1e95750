//! Judges assertions by what was observed.

use super::Check;
use super::observe::{AppSeen, PodSeen, Seen};

/// Result of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// The check holds.
    Pass,
    /// The check does not hold; the text is what was observed instead.
    Fail(String),
    /// Nothing was observed that the check could be judged by; the text says what is missing.
    NotJudged(String),
}

/// Judges one check of an application. A check that would hold only because nothing ran is not judged.
pub(crate) fn judge(check: &Check, app: &str, seen: &Seen) -> Judgement {
    if let Some(missing) = missing_observation(check, app, seen) {
        return Judgement::NotJudged(missing);
    }
    match compare(check, app, seen) {
        Ok(()) => Judgement::Pass,
        Err(observed) => Judgement::Fail(observed),
    }
}

/// Returns what has to be observed before `check` means anything and was not.
fn missing_observation(check: &Check, app: &str, seen: &Seen) -> Option<String> {
    let of = seen.app(app);
    let (is_missing, what) = match check {
        Check::Restarts(_)
        | Check::EachRestarted
        | Check::Ready(_)
        | Check::Waiting(_)
        | Check::Logged(_) => (of.pods.is_empty(), format!("no pod of {app}")),
        Check::SamePods | Check::Untouched | Check::Replaced => (
            of.marked.is_empty(),
            format!("no pod of {app} before the change"),
        ),
        Check::Endpoints(_) | Check::EndpointsAtLeast(_) => {
            (of.endpoints.is_empty(), format!("no endpoints of {app}"))
        }
        Check::RolledOut(_) => (
            of.rolled_out.is_none() || of.pods.is_empty(),
            format!("no pod of deployment {app}"),
        ),
        Check::EveryVisitAnswered => (seen.visits.all == 0, "no request".to_owned()),
        Check::Sooner(sooner) => (
            !sooner.is_measured(&seen.outages),
            "not every outage".to_owned(),
        ),
        Check::Shown(_) => (false, String::new()),
    };
    is_missing.then(|| format!("{what} was observed"))
}

fn compare(check: &Check, app: &str, seen: &Seen) -> Result<(), String> {
    let of = seen.app(app);
    match check {
        Check::Endpoints(want) => passes_through(want, &of.endpoints),
        Check::EndpointsAtLeast(least) => at_least(*least, &of.endpoints),
        Check::Restarts(want) => same("restarts", want, &restarts(of)),
        Check::EachRestarted => each_restarted(of),
        Check::Ready(want) => same(
            "ready pods",
            want,
            &of.pods.values().filter(|pod| pod.ready).count(),
        ),
        Check::Waiting(want) => waiting(want, of),
        Check::RolledOut(want) => same("rolled out", &Some(*want), &of.rolled_out),
        Check::Logged(want) => {
            let mut got: Vec<&String> = of.logged.values().collect();
            got.sort_unstable();
            same("words in the logs", &want.iter().collect(), &got)
        }
        Check::SamePods => same_pods(of),
        Check::Untouched => untouched(of),
        Check::Replaced => replaced(of),
        Check::Shown(text) if seen.shown.contains(text) => Ok(()),
        Check::Shown(text) => Err(format!("no page showed {text:?}")),
        Check::EveryVisitAnswered => every_visit_answered(seen),
        Check::Sooner(sooner) => sooner.judge(&seen.outages),
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, want: &T, got: &T) -> Result<(), String> {
    if want == got {
        Ok(())
    } else {
        Err(format!("{what}: expected {want:?}, observed {got:?}"))
    }
}

/// Checks that the observed numbers pass through the expected ones in order, and that no other number occurs.
///
/// A number may occur again. A kubelet that has restarted a container may probe the new one while its status is still the
/// old one's; the pod is then in the service for a moment, leaves it, and returns.
fn passes_through(want: &[usize], got: &[usize]) -> Result<(), String> {
    let mut left = got.iter();
    let in_order = want.iter().all(|n| left.any(|m| m == n));
    let none_other = got.iter().all(|n| want.contains(n));
    if in_order && none_other && want.first() == got.first() && want.last() == got.last() {
        Ok(())
    } else {
        Err(format!(
            "endpoint addresses: expected {want:?}, observed {got:?}"
        ))
    }
}

fn at_least(least: usize, got: &[usize]) -> Result<(), String> {
    if got.iter().min().is_some_and(|fewest| *fewest >= least) {
        return Ok(());
    }
    Err(format!(
        "endpoint addresses: expected {least} or more, observed {got:?}"
    ))
}

fn restarts(seen: &AppSeen) -> Vec<i32> {
    let mut counts: Vec<i32> = seen
        .pods
        .iter()
        .map(|(uid, pod)| pod.restarts - seen.restarts_before(uid))
        .collect();
    counts.sort_unstable();
    counts
}

fn each_restarted(seen: &AppSeen) -> Result<(), String> {
    if seen.each_restarted() {
        return Ok(());
    }
    Err(format!(
        "restarts: expected one of every pod, observed {:?}",
        restarts(seen)
    ))
}

fn waiting(want: &str, seen: &AppSeen) -> Result<(), String> {
    let reasons: Vec<&String> = seen.waiting().collect();
    if reasons.iter().any(|reason| *reason == want) {
        return Ok(());
    }
    Err(format!(
        "waiting containers: expected {want:?}, observed {reasons:?}"
    ))
}

fn same_pods(seen: &AppSeen) -> Result<(), String> {
    still_there(seen)?;
    match seen
        .pods
        .iter()
        .find(|(uid, _)| !seen.marked.contains_key(*uid))
    {
        Some((_, pod)) => Err(format!("pod {} is new", pod.name)),
        None => Ok(()),
    }
}

/// Every pod of the mark is there, at its address.
fn still_there(seen: &AppSeen) -> Result<(), String> {
    for (uid, before) in &seen.marked {
        let Some(now) = seen.pods.get(uid) else {
            return Err(format!("pod {} is gone", before.name));
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

fn untouched(seen: &AppSeen) -> Result<(), String> {
    still_there(seen)?;
    let changed = seen.marked.iter().find(|(uid, before)| {
        let now = seen.pods.get(*uid);
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

fn replaced(seen: &AppSeen) -> Result<(), String> {
    if seen.pods.is_empty() {
        return Err("no pod is left".to_owned());
    }
    let is_old = |(uid, _): &(&String, &PodSeen)| seen.marked.contains_key(*uid);
    if let Some((_, pod)) = seen.pods.iter().find(is_old) {
        return Err(format!("pod {} is still there", pod.name));
    }
    match seen.pods.values().find(|pod| pod.restarts > 0) {
        Some(pod) => Err(format!("pod {} was restarted", pod.name)),
        None => Ok(()),
    }
}

fn every_visit_answered(seen: &Seen) -> Result<(), String> {
    let visits = &seen.visits;
    match visits.failures.first() {
        Some(first) => Err(format!(
            "{} of {} requests failed; the first: {first}",
            visits.failures.len(),
            visits.all
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
