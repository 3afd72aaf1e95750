//! Whether a claim holds of what was observed.

use super::Check;
use super::observe::Seen;

/// Judges one check: nothing to add when it holds, what was seen instead when it does not.
pub(crate) fn judge(check: &Check, seen: &Seen) -> Result<(), String> {
    match check {
        Check::Endpoints(want) => passes_through(want, &seen.endpoints),
        Check::Restarts(want) => same("restarts", want, &restarts(seen)),
        Check::Ready(want) => same(
            "ready pods",
            want,
            &seen.pods.values().filter(|pod| pod.ready).count(),
        ),
        Check::Logged(want) => {
            let mut got: Vec<&String> = seen.logged.values().collect();
            got.sort_unstable();
            same("words in the logs", &want.iter().collect(), &got)
        }
        Check::SamePods => same_pods(seen),
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, want: &T, got: &T) -> Result<(), String> {
    if want == got {
        Ok(())
    } else {
        Err(format!("{what}: expected {want:?}, observed {got:?}"))
    }
}

/// The numbers wanted come in their order, from the first to the last, and no other number is seen between them.
///
/// Coming back to one of them is not held against a cluster. A kubelet that has started a container anew may probe it
/// while it still takes it for the old one; the pod is then in the service for a moment, leaves it, and returns.
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

fn restarts(seen: &Seen) -> Vec<i32> {
    let before = |uid| seen.marked.get(uid).map_or(0, |pod| pod.restarts);
    let mut counts: Vec<i32> = seen
        .pods
        .iter()
        .map(|(uid, pod)| pod.restarts - before(uid))
        .collect();
    counts.sort_unstable();
    counts
}

fn same_pods(seen: &Seen) -> Result<(), String> {
    if seen.marked.is_empty() {
        return Err("no pods were observed".to_owned());
    }
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
    match seen
        .pods
        .iter()
        .find(|(uid, _)| !seen.marked.contains_key(*uid))
    {
        Some((_, pod)) => Err(format!("pod {} is new", pod.name)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
