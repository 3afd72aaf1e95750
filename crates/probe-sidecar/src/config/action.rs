//! Actions: what they wait for, and that they can be done.

use std::str::FromStr as _;
use std::time::Duration;

use probe::ProbeKind;
use probe::spec::field::FieldError;

use super::beyond::{self, at_least};
use super::problem::Problems;
use super::{check_name, document, group};
use crate::spec::{ActionSpec, Deed, Member, Process, TargetSpec};

const COOL_DOWN: i64 = 30;
const TIMEOUT: i64 = 10;
/// Ten times in an hour: enough to heal, too few to hide that nothing heals.
const BUDGET: (i64, i64) = (10, 3600);

pub(super) fn read(
    actions: Vec<document::Action>,
    targets: &[TargetSpec],
    problems: &mut Problems,
) -> Vec<ActionSpec> {
    let mut read: Vec<ActionSpec> = Vec::with_capacity(actions.len());
    for (index, action) in actions.into_iter().enumerate() {
        let path = format!("actions[{index}]");
        if read.iter().any(|other| other.name == action.name) {
            problems.refuse(&FieldError::duplicate(format!("{path}.name"), &action.name));
        }
        read.extend(one(action, &path, targets, problems));
    }
    read
}

fn one(
    action: document::Action,
    path: &str,
    targets: &[TargetSpec],
    problems: &mut Problems,
) -> Option<ActionSpec> {
    check_name(&action.name, &format!("{path}.name"), problems);
    let becomes = becomes(action.when.becomes.as_deref(), path, problems);
    let cool_down = seconds(
        action.cool_down_seconds,
        0,
        COOL_DOWN,
        &format!("{path}.coolDownSeconds"),
        problems,
    );
    if action.repeat && cool_down.is_zero() {
        let detail = "needs a coolDownSeconds above 0";
        problems.refuse(&FieldError::forbidden(format!("{path}.repeat"), detail));
    }
    let (count, window) = action
        .budget
        .as_ref()
        .map_or(BUDGET, |budget| (budget.count, budget.window_seconds));
    let most = at_least(Some(count), 1, &format!("{path}.budget.count"), problems);
    let window = seconds(
        Some(window),
        1,
        window,
        &format!("{path}.budget.windowSeconds"),
        problems,
    );
    let (target, kind) = probe(&action.when.probe, path, targets, problems)?;
    Some(ActionSpec {
        name: action.name.clone(),
        target,
        kind,
        becomes,
        repeat: action.repeat,
        dry_run: action.dry_run,
        cool_down,
        most: most
            .and_then(|most| usize::try_from(most).ok())
            .unwrap_or(1),
        window,
        deed: deed(action, path, problems)?,
    })
}

fn becomes(given: Option<&str>, path: &str, problems: &mut Problems) -> bool {
    match given {
        None | Some("unhealthy") => false,
        Some("healthy") => true,
        Some(other) => {
            let field = format!("{path}.when.becomes");
            problems.refuse(&FieldError::unsupported(
                field,
                other,
                &["healthy", "unhealthy"],
            ));
            false
        }
    }
}

fn probe(
    given: &str,
    path: &str,
    targets: &[TargetSpec],
    problems: &mut Problems,
) -> Option<(String, ProbeKind)> {
    let field = format!("{path}.when.probe");
    let Some(Member::Probe { target, kind }) = group::member(given) else {
        let detail = "must be livez/TARGET, readyz/TARGET or startupz/TARGET";
        problems.refuse(&FieldError::invalid(field, format!("{given:?}"), detail));
        return None;
    };
    let known = targets.iter().find(|known| known.name == target);
    if !known.is_some_and(|known| known.probes.iter().any(|probe| probe.kind == kind)) {
        problems.refuse(&FieldError::not_found(field, given));
        return None;
    }
    Some((target, kind))
}

fn seconds(
    given: Option<i64>,
    least: i64,
    default: i64,
    path: &str,
    problems: &mut Problems,
) -> Duration {
    let value = at_least(given, least, path, problems).unwrap_or(default);
    Duration::from_secs(u64::try_from(value).unwrap_or(0))
}

fn deed(action: document::Action, path: &str, problems: &mut Problems) -> Option<Deed> {
    let mut found: Vec<(&str, Deed)> = Vec::new();
    if let Some(given) = action.signal {
        found.extend(signal(given, path, problems).map(|deed| ("signal", deed)));
    }
    if let Some(given) = action.exit {
        found.push(("exit", Deed::Exit(given.code)));
    }
    if let Some(given) = action.exec {
        if given.command.is_empty() {
            problems.refuse(&FieldError::required(format!("{path}.exec.command"), ""));
        }
        let field = format!("{path}.exec.timeoutSeconds");
        let timeout = seconds(given.timeout_seconds, 1, TIMEOUT, &field, problems);
        let command = given.command;
        found.push(("exec", Deed::Exec { command, timeout }));
    }
    if let Some(given) = action.webhook {
        found.push(("webhook", webhook(given, path, problems)));
    }
    if let Some(given) = action.write_file {
        if !given.path.is_absolute() {
            let (field, value) = (
                format!("{path}.writeFile.path"),
                format!("{:?}", given.path),
            );
            problems.refuse(&FieldError::invalid(field, value, "must be absolute"));
        }
        let (path, content) = (given.path, given.content);
        found.push(("writeFile", Deed::WriteFile { path, content }));
    }
    if let Some((name, _)) = found.get(1) {
        let detail = "may not specify more than one of signal, exit, exec, webhook, writeFile";
        problems.refuse(&FieldError::forbidden(format!("{path}.{name}"), detail));
    }
    if found.is_empty() {
        let detail = "must specify one of signal, exit, exec, webhook, writeFile";
        problems.refuse(&FieldError::required(path, detail));
    }
    found.into_iter().next().map(|(_, deed)| deed)
}

fn signal(given: document::Signal, path: &str, problems: &mut Problems) -> Option<Deed> {
    let name = given.name.unwrap_or_else(|| "SIGTERM".to_owned());
    let signal = nix::sys::signal::Signal::from_str(&name);
    if signal.is_err() {
        let detail = "must be a signal's name, such as SIGTERM";
        let field = format!("{path}.signal.name");
        problems.refuse(&FieldError::invalid(field, format!("{name:?}"), detail));
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
            problems.refuse(&FieldError::required(
                format!("{path}.signal.process"),
                detail,
            ));
            return None;
        }
    };
    Some(Deed::Signal {
        signal: signal.ok()? as i32,
        name,
        process,
    })
}

fn webhook(given: document::Webhook, path: &str, problems: &mut Problems) -> Deed {
    let path = format!("{path}.webhook");
    let scheme = given.url.split_once("://").map(|(scheme, _)| scheme);
    if given.url.parse::<http::Uri>().is_err() || !matches!(scheme, Some("http" | "https")) {
        let detail = "must be a URL that begins with http:// or https://";
        problems.refuse(&FieldError::invalid(
            format!("{path}.url"),
            format!("{:?}", given.url),
            detail,
        ));
    }
    let tls = given.tls.map(|tls| beyond::tls(tls, &path, problems));
    if scheme == Some("https") && tls.as_ref().is_none_or(|tls| tls.ca.is_none()) {
        let detail = "who receives it has to be known";
        problems.refuse(&FieldError::required(format!("{path}.tls.caFile"), detail));
    }
    for (index, header) in given.headers.iter().enumerate() {
        let name = http::HeaderName::from_str(&header.name);
        if name.is_err() || http::HeaderValue::from_str(&header.value).is_err() {
            problems.add(
                format!("{path}.headers[{index}]"),
                "Invalid value: this is no header",
            );
        }
    }
    let field = format!("{path}.timeoutSeconds");
    Deed::Webhook {
        timeout: seconds(given.timeout_seconds, 1, TIMEOUT, &field, problems),
        url: given.url,
        headers: given
            .headers
            .into_iter()
            .map(|header| (header.name, header.value))
            .collect(),
        tls,
    }
}
