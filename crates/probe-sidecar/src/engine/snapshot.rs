//! Active targets and groups: immutable, replaced by a reload.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use probe::ProbeKind;

use super::handle::ProbeHandle;
use super::phase::StartupGate;
use crate::spec::{GroupSpec, Member, Policy, Require};

/// A target and its probes.
#[derive(Debug)]
pub struct Target {
    /// Name in endpoints and metrics.
    pub name: Arc<str>,
    /// `true` if the endpoints of the pod leave it out.
    pub dependency: bool,
    pub(super) gate: Arc<StartupGate>,
    /// At most one probe of each kind.
    pub probes: Vec<Arc<ProbeHandle>>,
}

impl Target {
    /// Returns its probe of a kind.
    #[must_use]
    pub fn probe(&self, kind: ProbeKind) -> Option<&Arc<ProbeHandle>> {
        self.probes.iter().find(|entry| entry.spec.kind == kind)
    }
}

/// A group with its state.
#[derive(Debug)]
pub struct Group {
    /// Effective configuration.
    pub spec: GroupSpec,
    /// `true` if the group was ever healthy.
    pub(super) was_healthy: Arc<AtomicBool>,
}

/// Status of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupStatus {
    /// Result of the group, with its policy.
    pub healthy: bool,
    /// Number of healthy members.
    pub members: usize,
    /// `true` if the group is healthy only because of the policy `failOpen`.
    pub fail_open_active: bool,
}

/// Active targets and groups.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// In the order of the configuration.
    pub targets: Vec<Target>,
    /// In the order of the configuration.
    pub groups: Vec<Group>,
    pub(super) names: HashMap<Arc<str>, usize>,
}

impl Snapshot {
    /// Finds a target by name.
    #[must_use]
    pub fn target(&self, name: &str) -> Option<&Target> {
        self.names.get(name).and_then(|at| self.targets.get(*at))
    }

    /// Finds a group by name.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.spec.name == name)
    }

    /// All probes.
    pub fn probes(&self) -> impl Iterator<Item = &Arc<ProbeHandle>> {
        self.targets.iter().flat_map(|target| &target.probes)
    }

    /// Probes of a kind, without those of dependencies.
    pub fn pod_probes(&self, kind: ProbeKind) -> impl Iterator<Item = &Arc<ProbeHandle>> {
        self.targets
            .iter()
            .filter(|target| !target.dependency)
            .filter_map(move |target| target.probe(kind))
    }

    /// Finds the probe that a member of a group names.
    #[must_use]
    pub fn member(&self, member: &Member) -> Option<&Arc<ProbeHandle>> {
        match member {
            Member::Probe { target, kind } => self.target(target)?.probe(*kind),
            Member::Group(_) => None,
        }
    }

    /// Returns `true` if a member is healthy `now`.
    #[must_use]
    pub fn is_member_healthy(&self, member: &Member, now: Duration) -> bool {
        match member {
            Member::Group(name) => self
                .group(name)
                .is_some_and(|group| self.group_status(group, now).healthy),
            probe => self
                .member(probe)
                .is_some_and(|entry| entry.is_healthy(entry.status(now))),
        }
    }

    /// Evaluates a group `now`. The configuration has no cycles of groups.
    #[must_use]
    pub fn group_status(&self, group: &Group, now: Duration) -> GroupStatus {
        let spec = &group.spec;
        let healthy = |member: &&Member| self.is_member_healthy(member, now);
        let members = spec.members.iter().filter(healthy).count();
        let is_met = match spec.require {
            Require::All => members == spec.members.len(),
            Require::Any => members > 0,
            Require::AtLeast(min) => members >= min,
        };
        if is_met {
            group.was_healthy.store(true, Ordering::Relaxed);
        }
        let fail_open_active =
            !is_met && spec.policy == Policy::FailOpen && group.was_healthy.load(Ordering::Relaxed);
        GroupStatus {
            healthy: is_met || fail_open_active,
            members,
            fail_open_active,
        }
    }
}
