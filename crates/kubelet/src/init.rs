//! What to do about a pod's init containers and sidecars: one after the other until all have done their part. Pure.

use super::actions::{Failed, Probed, RestartPolicy, Step};
use super::instance::Record;

/// What is known of an init container.
#[derive(Clone, Copy, Debug)]
pub struct Init<'a> {
    /// Whether it is to run beside the pod's containers: `restartPolicy: Always`.
    pub sidecar: bool,
    /// Its instances.
    pub record: &'a Record,
    /// Whether its startup probe has succeeded, if it has one.
    pub started: bool,
    /// What its other results say.
    pub probed: Probed,
}

/// What to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Which container, by its place, and what.
    pub steps: Vec<(usize, Step)>,
    /// The pod's own containers may start.
    pub done: bool,
    /// One has failed for good, and the pod with it.
    pub failed: bool,
}

impl Plan {
    /// Whoever comes after the one at `place`.
    fn go_on(&mut self, place: usize, count: usize) {
        if place + 1 == count {
            self.done = true;
        } else {
            self.steps.push((place + 1, Step::Start));
        }
    }
}

/// Decides; `has_run` says whether one of the pod's own containers has ever been started.
///
/// It looks from the last to the first: the last one that has run says how far the pod is, and of those before it only
/// sidecars still matter.
#[must_use]
pub fn plan(policy: RestartPolicy, inits: &[Init<'_>], has_run: bool) -> Plan {
    let mut plan = Plan {
        done: has_run || inits.is_empty(),
        ..Plan::default()
    };
    let mut passed = plan.done;
    for (place, init) in inits.iter().enumerate().rev() {
        let Some(instance) = &init.record.current else {
            if passed && init.sidecar {
                plan.steps.push((place, Step::Start));
            }
            continue;
        };
        let exit = instance.exit.map(|exit| exit.code);
        match (init.sidecar, exit) {
            (true, Some(_)) => plan.steps.push((place, Step::Start)),
            (true, None) => {
                if init.started && !passed {
                    plan.go_on(place, inits.len());
                }
                plan.steps
                    .extend(failed_probe(init).map(|step| (place, step)));
            }
            // It has done its part, or another has begun since.
            (false, _) if passed => {}
            (false, None) => {}
            (false, Some(0)) => plan.go_on(place, inits.len()),
            (false, Some(_)) if policy == RestartPolicy::Never => plan.failed = true,
            (false, Some(_)) => plan.steps.push((place, Step::Start)),
        }
        passed = true;
    }
    if !passed {
        plan.steps.push((0, Step::Start));
    }
    if plan.failed {
        plan.steps.clear();
    }
    plan
}

/// A sidecar is restarted whatever the pod's policy. Until it has started nobody asks whether it is alive.
fn failed_probe(init: &Init<'_>) -> Option<Step> {
    let failed = if init.probed.startup_failed {
        Failed::Startup
    } else if init.started && init.probed.liveness_failed {
        Failed::Liveness
    } else {
        return None;
    };
    Some(Step::Kill {
        failed,
        restart: true,
    })
}

#[cfg(test)]
mod tests;
