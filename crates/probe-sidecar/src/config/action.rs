//! Parser of actions: triggers, limits and effects.

use std::str::FromStr as _;
use std::time::Duration;

use probe::spec::field::FieldError;

use super::extensions::{self, in_range};
use super::problem::Problems;
use super::{Declared, ParseOptions, check_name, document, group};
use crate::attempt::Expiry;
use crate::engine::state::Status;
use crate::spec::{ActionKind, ActionSpec, GroupSpec, Member, Process};

const DEFAULT_COOL_DOWN_SECONDS: i64 = 30;
const DEFAULT_TIMEOUT_SECONDS: i64 = 10;
/// Default number of runs and window in seconds: enough to heal, too few to hide an action that does not help.
const DEFAULT_BUDGET: (i64, i64) = (10, 3600);

pub(super) fn read(
    actions: Vec<(String, document::Action)>,
    declared: &Declared,
    groups: &[GroupSpec],
    options: &ParseOptions,
    problems: &mut Problems,
) -> Vec<ActionSpec> {
    let mut read: Vec<ActionSpec> = Vec::with_capacity(actions.len());
    for (path, action) in actions {
        if read.iter().any(|other| other.name == action.name) {
            problems.push_field_error(&FieldError::duplicate(format!("{path}.name"), &action.name));
        }
        read.extend(read_action(
            action, &path, declared, groups, options, problems,
        ));
    }
    read
}

fn read_action(
    action: document::Action,
    path: &str,
    declared: &Declared,
    groups: &[GroupSpec],
    options: &ParseOptions,
    problems: &mut Problems,
) -> Option<ActionSpec> {
    check_name(&action.name, &format!("{path}.name"), problems);
    let becomes = read_becomes(action.when.becomes.as_deref(), path, problems);
    let cool_down = seconds(
        action.cool_down_seconds,
        0,
        DEFAULT_COOL_DOWN_SECONDS,
        &format!("{path}.coolDownSeconds"),
        problems,
    );
    if action.repeat && cool_down.is_zero() {
        let detail = "needs a coolDownSeconds above 0";
        problems.push_field_error(&FieldError::forbidden(format!("{path}.repeat"), detail));
    }
    let (count, window) = action.budget.as_ref().map_or(DEFAULT_BUDGET, |budget| {
        (budget.count, budget.window_seconds)
    });
    let max_runs = in_range(Some(count), 1, &format!("{path}.budget.count"), problems);
    let window = seconds(
        Some(window),
        1,
        window,
        &format!("{path}.budget.windowSeconds"),
        problems,
    );
    let source = read_source(&action.when.probe, path, declared, groups, problems)?;
    if matches!(source, Member::Group(_)) && matches!(becomes, Status::Unknown | Status::Stale) {
        let field = format!("{path}.when.becomes");
        problems.push_field_error(&FieldError::unsupported(
            field,
            becomes.as_str(),
            &["healthy", "unhealthy"],
        ));
    }
    Some(ActionSpec {
        name: action.name.clone(),
        source,
        becomes,
        repeat: action.repeat,
        dry_run: action.dry_run,
        cool_down,
        max_runs: max_runs
            .and_then(|max_runs| usize::try_from(max_runs).ok())
            .unwrap_or(1),
        window,
        effect: read_effect(action, path, options, problems)?,
    })
}

fn read_becomes(given: Option<&str>, path: &str, problems: &mut Problems) -> Status {
    match given {
        None | Some("unhealthy") => Status::Unhealthy,
        Some("healthy") => Status::Healthy,
        Some("unknown") => Status::Unknown,
        Some("stale") => Status::Stale,
        Some(other) => {
            let field = format!("{path}.when.becomes");
            problems.push_field_error(&FieldError::unsupported(
                field,
                other,
                &["healthy", "unhealthy", "unknown", "stale"],
            ));
            Status::Unhealthy
        }
    }
}

fn read_source(
    given: &str,
    path: &str,
    declared: &Declared,
    groups: &[GroupSpec],
    problems: &mut Problems,
) -> Option<Member> {
    let field = format!("{path}.when.probe");
    let Some(member) = group::parse_member(given) else {
        let detail = "must be livez/TARGET, readyz/TARGET, startupz/TARGET or groups/GROUP";
        let value = format!("{given:?}");
        problems.push_field_error(&FieldError::invalid(field, value, detail));
        return None;
    };
    let exists = match &member {
        Member::Group(name) => groups.iter().any(|group| group.name == *name),
        probe => declared.has(probe),
    };
    if !exists {
        problems.push_field_error(&FieldError::not_found(field, given));
        return None;
    }
    Some(member)
}

fn seconds(
    given: Option<i64>,
    min: i64,
    default: i64,
    path: &str,
    problems: &mut Problems,
) -> Duration {
    let value = in_range(given, min, path, problems).unwrap_or(default);
    Duration::from_secs(u64::try_from(value).unwrap_or(0))
}

fn read_effect(
    action: document::Action,
    path: &str,
    options: &ParseOptions,
    problems: &mut Problems,
) -> Option<ActionKind> {
    let mut found: Vec<(&str, ActionKind)> = Vec::new();
    if let Some(given) = action.signal {
        found.extend(read_signal(given, path, problems).map(|effect| ("signal", effect)));
    }
    if let Some(given) = action.exit {
        found.push(("exit", ActionKind::Exit(given.code)));
    }
    if let Some(given) = action.exec {
        if given.command.is_empty() {
            problems.push_field_error(&FieldError::required(format!("{path}.exec.command"), ""));
        }
        let field = format!("{path}.exec.timeoutSeconds");
        let timeout = seconds(
            given.timeout_seconds,
            1,
            DEFAULT_TIMEOUT_SECONDS,
            &field,
            problems,
        );
        let command = given.command;
        found.push(("exec", ActionKind::Exec { command, timeout }));
    }
    if let Some(given) = action.webhook {
        found.push(("webhook", read_webhook(given, path, options, problems)));
    }
    if let Some(given) = action.write_file {
        if !given.path.is_absolute() {
            let (field, value) = (
                format!("{path}.writeFile.path"),
                format!("{:?}", given.path),
            );
            problems.push_field_error(&FieldError::invalid(field, value, "must be absolute"));
        }
        let (path, content) = (given.path, given.content);
        found.push(("writeFile", ActionKind::WriteFile { path, content }));
    }
    if let Some((name, _)) = found.get(1) {
        let detail = "may not specify more than one of signal, exit, exec, webhook, writeFile";
        problems.push_field_error(&FieldError::forbidden(format!("{path}.{name}"), detail));
    }
    if found.is_empty() {
        let detail = "must specify one of signal, exit, exec, webhook, writeFile";
        problems.push_field_error(&FieldError::required(path, detail));
    }
    found.into_iter().next().map(|(_, effect)| effect)
}

fn read_signal(given: document::Signal, path: &str, problems: &mut Problems) -> Option<ActionKind> {
    let name = given.name.unwrap_or_else(|| "SIGTERM".to_owned());
    let signal = nix::sys::signal::Signal::from_str(&name);
    if signal.is_err() {
        let detail = "must be the name of a signal, such as SIGTERM";
        let field = format!("{path}.signal.name");
        problems.push_field_error(&FieldError::invalid(field, format!("{name:?}"), detail));
    }
    let process = match (
        given.process.name,
        given.process.executable,
        given.process.port,
    ) {
        (Some(name), None, None) if !name.is_empty() => Process::Name(name),
        (None, Some(path), None) => Process::Executable(path),
        (None, None, Some(port)) if port > 0 => Process::Port(port),
        _ => {
            let detail = "must specify exactly one of name, executable, port";
            problems.push_field_error(&FieldError::required(
                format!("{path}.signal.process"),
                detail,
            ));
            return None;
        }
    };
    let field = format!("{path}.signal.killAfterSeconds");
    let kill_after = given
        .kill_after_seconds
        .map(|value| seconds(Some(value), 1, value, &field, problems));
    Some(ActionKind::Signal {
        signal: signal.ok()? as i32,
        name,
        process,
        kill_after,
    })
}

fn read_webhook(
    given: document::Webhook,
    path: &str,
    options: &ParseOptions,
    problems: &mut Problems,
) -> ActionKind {
    let path = format!("{path}.webhook");
    let scheme = given.url.split_once("://").map(|(scheme, _)| scheme);
    if given.url.parse::<http::Uri>().is_err() || !matches!(scheme, Some("http" | "https")) {
        let detail = "must be a URL with the scheme http or https";
        problems.push_field_error(&FieldError::invalid(
            format!("{path}.url"),
            format!("{:?}", given.url),
            detail,
        ));
    }
    let tls = given.tls.map(|tls| extensions::tls(tls, &path, problems));
    if let Some(files) = tls.as_ref().filter(|_| options.check_files)
        && let Err(error) = crate::attempt::tls::config(files, Expiry::default())
    {
        problems.push(format!("{path}.tls"), error.message());
    }
    if scheme == Some("https") && tls.as_ref().is_none_or(|tls| tls.ca.is_none()) {
        let detail = "tls.caFile is required for an https webhook";
        problems.push_field_error(&FieldError::required(format!("{path}.tls.caFile"), detail));
    }
    for (index, header) in given.headers.iter().enumerate() {
        let name = http::HeaderName::from_str(&header.name);
        if name.is_err() || http::HeaderValue::from_str(&header.value).is_err() {
            problems.push(
                format!("{path}.headers[{index}]"),
                "Invalid value: must be a valid name and value of a header",
            );
        }
    }
    let field = format!("{path}.timeoutSeconds");
    ActionKind::Webhook {
        timeout: seconds(
            given.timeout_seconds,
            1,
            DEFAULT_TIMEOUT_SECONDS,
            &field,
            problems,
        ),
        url: given.url,
        headers: given
            .headers
            .into_iter()
            .map(|header| (header.name, header.value))
            .collect(),
        tls,
        body: given.body,
        send_resolved: given.send_resolved,
    }
}
