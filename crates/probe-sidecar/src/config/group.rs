//! Parser of groups; a group must not contain itself.

use probe::spec::field::FieldError;
use serde_json::Value;

use super::document;
use super::problem::Problems;
use super::{Declared, check_name};
use crate::spec::{GroupSpec, Member, Policy, Require, kind_from_endpoint};

pub(super) fn read(
    groups: Vec<(String, document::Group)>,
    declared: &Declared,
    problems: &mut Problems,
) -> Vec<GroupSpec> {
    let names: Vec<String> = groups.iter().map(|(_, group)| group.name.clone()).collect();
    let mut read: Vec<GroupSpec> = Vec::with_capacity(groups.len());
    for (index, (path, group)) in groups.into_iter().enumerate() {
        check_name(&group.name, &format!("{path}.name"), problems);
        if names[..index].contains(&group.name) {
            let field = format!("{path}.name");
            problems.push_field_error(&FieldError::duplicate(field, &group.name));
        }
        let members = members(&group.members, &path, declared, &names, problems);
        let require = require(group.require.as_ref(), group.members.len(), &path, problems);
        read.push(GroupSpec {
            name: group.name,
            members,
            require,
            policy: policy(group.policy.as_deref(), &path, problems),
        });
    }
    if let Some(index) = read.iter().position(|group| has_cycle(group, &read)) {
        problems.push(
            format!("groups[{index}].members"),
            "Invalid value: the group is a member of itself",
        );
    }
    read
}

fn members(
    given: &[String],
    path: &str,
    declared: &Declared,
    groups: &[String],
    problems: &mut Problems,
) -> Vec<Member> {
    if given.is_empty() {
        problems.push(format!("{path}.members"), "Required value");
    }
    let found = given.iter().enumerate().filter_map(|(index, text)| {
        let field = format!("{path}.members[{index}]");
        let Some(member) = parse_member(text) else {
            let detail = "must be livez/TARGET, readyz/TARGET, startupz/TARGET or groups/GROUP";
            problems.push_field_error(&FieldError::invalid(field, format!("{text:?}"), detail));
            return None;
        };
        let exists = match &member {
            Member::Group(name) => groups.contains(name),
            probe => declared.has(probe),
        };
        if !exists {
            problems.push_field_error(&FieldError::not_found(field, text));
        }
        Some(member)
    });
    found.collect()
}

pub(super) fn parse_member(text: &str) -> Option<Member> {
    let (first, name) = text.split_once('/')?;
    if first == "groups" {
        return Some(Member::Group(name.to_owned()));
    }
    Some(Member::Probe {
        target: name.to_owned(),
        kind: kind_from_endpoint(first)?,
    })
}

fn require(given: Option<&Value>, members: usize, path: &str, problems: &mut Problems) -> Require {
    let min = given
        .and_then(Value::as_u64)
        .and_then(|min| usize::try_from(min).ok());
    match (given.and_then(Value::as_str), min) {
        (Some("all"), _) => Require::All,
        (Some("any"), _) => Require::Any,
        (_, Some(min)) if (1..=members).contains(&min) => Require::AtLeast(min),
        _ => {
            if let Some(given) = given {
                let detail = format!("must be all, any, or a number from 1 to {members}");
                problems.push_field_error(&FieldError::invalid(
                    format!("{path}.require"),
                    given.to_string(),
                    detail,
                ));
            }
            Require::All
        }
    }
}

fn policy(given: Option<&str>, path: &str, problems: &mut Problems) -> Policy {
    match given {
        None | Some("strict") => Policy::Strict,
        Some("failOpen") => Policy::FailOpen,
        Some(other) => {
            let field = format!("{path}.policy");
            problems.push_field_error(&FieldError::unsupported(
                field,
                other,
                &["strict", "failOpen"],
            ));
            Policy::Strict
        }
    }
}

/// Returns `true` if the group is a direct or indirect member of itself.
fn has_cycle(start: &GroupSpec, all: &[GroupSpec]) -> bool {
    let mut seen: Vec<&str> = Vec::new();
    let mut next = vec![start];
    while let Some(group) = next.pop() {
        for member in &group.members {
            let Member::Group(name) = member else {
                continue;
            };
            if *name == start.name {
                return true;
            }
            if !seen.contains(&name.as_str()) {
                seen.push(name);
                next.extend(all.iter().find(|other| other.name == *name));
            }
        }
    }
    false
}
