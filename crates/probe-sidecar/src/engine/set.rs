//! Everything that runs at a moment: replaced as a whole by a reload, never changed.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use probe::ProbeKind;

use super::entry::Entry;
use super::phase::Gate;
use crate::spec::{GroupSpec, Member, Policy, Require};

/// One target and its probes.
#[derive(Debug)]
pub struct Target {
    /// Its name.
    pub name: Arc<str>,
    /// Whether the pod's own endpoints leave it out.
    pub dependency: bool,
    pub(super) gate: Arc<Gate>,
    /// At most one of each kind.
    pub probes: Vec<Arc<Entry>>,
}

impl Target {
    /// Its probe of a kind.
    #[must_use]
    pub fn probe(&self, kind: ProbeKind) -> Option<&Arc<Entry>> {
        self.probes.iter().find(|entry| entry.spec.kind == kind)
    }
}

/// One group.
#[derive(Debug)]
pub struct Group {
    /// What it is made of.
    pub spec: GroupSpec,
    /// Whether it was ever healthy.
    pub(super) was_healthy: Arc<AtomicBool>,
}

/// What a group says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What it says.
    pub healthy: bool,
    /// Members that are healthy.
    pub members: usize,
    /// Whether it is only healthy because it was.
    pub held_open: bool,
}

/// Targets and groups.
#[derive(Debug, Default)]
pub struct Set {
    /// In the order of the configuration.
    pub targets: Vec<Target>,
    /// In the order of the configuration.
    pub groups: Vec<Group>,
    pub(super) names: HashMap<Arc<str>, usize>,
}

impl Set {
    /// A target by its name.
    #[must_use]
    pub fn target(&self, name: &str) -> Option<&Target> {
        self.names.get(name).and_then(|at| self.targets.get(*at))
    }

    /// A group by its name.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.spec.name == name)
    }

    /// Every probe.
    pub fn probes(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.targets.iter().flat_map(|target| &target.probes)
    }

    /// The pod's probes of a kind, without those of others.
    pub fn of_pod(&self, kind: ProbeKind) -> impl Iterator<Item = &Arc<Entry>> {
        self.targets
            .iter()
            .filter(|target| !target.dependency)
            .filter_map(move |target| target.probe(kind))
    }

    /// The probe that a member of a group names.
    #[must_use]
    pub fn member(&self, member: &Member) -> Option<&Arc<Entry>> {
        match member {
            Member::Probe { target, kind } => self.target(target)?.probe(*kind),
            Member::Group(_) => None,
        }
    }

    /// Whether a member is healthy `now`.
    #[must_use]
    pub fn is_member_healthy(&self, member: &Member, now: Duration) -> bool {
        match member {
            Member::Group(name) => self
                .group(name)
                .is_some_and(|group| self.standing(group, now).healthy),
            probe => self
                .member(probe)
                .is_some_and(|entry| entry.is_healthy(entry.status(now))),
        }
    }

    /// What a group says `now`. Configurations have no group within itself.
    #[must_use]
    pub fn standing(&self, group: &Group, now: Duration) -> Standing {
        let spec = &group.spec;
        let healthy = |member: &&Member| self.is_member_healthy(member, now);
        let members = spec.members.iter().filter(healthy).count();
        let enough = match spec.require {
            Require::All => members == spec.members.len(),
            Require::Any => members > 0,
            Require::AtLeast(least) => members >= least,
        };
        if enough {
            group.was_healthy.store(true, Ordering::Relaxed);
        }
        let held_open =
            !enough && spec.policy == Policy::FailOpen && group.was_healthy.load(Ordering::Relaxed);
        Standing {
            healthy: enough || held_open,
            members,
            held_open,
        }
    }
}
