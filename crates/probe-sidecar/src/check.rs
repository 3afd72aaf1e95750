//! `probe-sidecar check`: runs probes once, for pipelines and exec probes.

use std::fmt::Write as _;

use futures::StreamExt as _;
use futures::stream;
use probe::Verdict;
use serde_json::{Value, json};

use crate::args::Output;
use crate::attempt::{Attempt, AttemptRunner, LocalRunner};
use crate::outcome::AttemptOutcome;
use crate::spec::{Config, ProbeSpec, TargetSpec, endpoint_name};

/// Maximum number of concurrent attempts.
const CONCURRENCY: usize = 64;

/// Results of the probes that were run, in the order of the configuration.
#[derive(Debug)]
pub struct Checks(Vec<(String, Result<AttemptOutcome, String>)>);

/// A name matches no probe.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "probe {0:?} not found: use livez/TARGET, readyz/TARGET, startupz/TARGET, livez, readyz or startupz"
)]
pub struct UnknownProbe(String);

/// Runs the named probes once; all probes if there are no names.
///
/// # Errors
/// Fails if a name matches no probe.
pub async fn run(config: &Config, names: &[String]) -> Result<Checks, UnknownProbe> {
    let all = config.targets.iter().flat_map(|target| {
        let probes = target.probes.iter();
        probes.map(move |probe| (target, probe))
    });
    let all: Vec<(&TargetSpec, &ProbeSpec)> = all.collect();
    for name in names {
        if !all
            .iter()
            .any(|(target, probe)| is_named(name, target, probe))
        {
            return Err(UnknownProbe(name.clone()));
        }
    }
    let selected = all.into_iter().filter(|(target, probe)| {
        names.is_empty() || names.iter().any(|name| is_named(name, target, probe))
    });
    let runner = LocalRunner::default();
    let runs = selected.map(|(target, probe)| {
        let runner = &runner;
        async move {
            let name = format!("{}/{}", endpoint_name(probe.kind), target.name);
            (name, attempt(runner, probe).await)
        }
    });
    let results = stream::iter(runs).buffered(CONCURRENCY);
    Ok(Checks(results.collect().await))
}

/// Returns `true` if `name` is that of the probe, or of the endpoint of the pod that includes it.
fn is_named(name: &str, target: &TargetSpec, probe: &ProbeSpec) -> bool {
    let endpoint = endpoint_name(probe.kind);
    match name.split_once('/') {
        Some((kind, name)) => kind == endpoint && name == target.name,
        None => name == endpoint && !target.dependency,
    }
}

async fn attempt(runner: &LocalRunner, probe: &ProbeSpec) -> Result<AttemptOutcome, String> {
    let attempt = Attempt::build(&probe.handler).map_err(|error| error.message().to_owned())?;
    let outcome = runner.run(&attempt, probe.timeout).await;
    outcome.map_err(|error| error.message)
}

fn is_success(result: &Result<AttemptOutcome, String>) -> bool {
    let verdict = result.as_ref().map(|outcome| outcome.verdict);
    matches!(verdict, Ok(Verdict::Success | Verdict::Warning))
}

impl Checks {
    /// Returns `true` if every probe succeeded.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.0.iter().all(|(_, result)| is_success(result))
    }

    /// Formats the results.
    #[must_use]
    pub fn format(&self, output: Output) -> String {
        match output {
            Output::Text => self.text(),
            Output::Json => format!("{}\n", self.json()),
        }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for (name, result) in &self.0 {
            let _ = match result {
                Ok(outcome) if is_success(result) => {
                    writeln!(text, "[+]{name} ok: took {:?}", outcome.took)
                }
                Ok(outcome) => {
                    let reason = outcome.reason.map(|reason| format!("{reason}: "));
                    let reason = reason.unwrap_or_default();
                    let line = one_line(&outcome.output);
                    writeln!(
                        text,
                        "[-]{name} failed: {reason}{line} (took {:?})",
                        outcome.took
                    )
                }
                Err(error) => writeln!(text, "[-]{name} unknown: {}", one_line(error)),
            };
        }
        text
    }

    fn json(&self) -> Value {
        let checks = self.0.iter().map(|(name, result)| match result {
            Ok(outcome) => json!({
                "name": name,
                "healthy": is_success(result),
                "reason": outcome.reason.map(|reason| reason.kind),
                "code": outcome.reason.and_then(|reason| reason.code),
                "output": outcome.output,
                "durationMs": outcome.took.as_secs_f64() * 1e3,
            }),
            Err(error) => json!({ "name": name, "healthy": false, "output": error }),
        });
        json!({ "healthy": self.succeeded(), "checks": checks.collect::<Vec<_>>() })
    }
}

/// Replaces line breaks and control characters: the output of a target must not control a terminal.
pub(crate) fn one_line(text: &str) -> String {
    let words = text.split(|letter: char| letter.is_whitespace() || letter.is_control());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ParseOptions, parse};

    fn config() -> Config {
        let text = "targets:
- {name: a, livenessProbe: {exec: {command: ['true']}}, readinessProbe: {exec: {command: [sh, -c, 'printf \"\\\\033[31mred\\\\nend\"; exit 3']}}}
- {name: b, dependency: true, readinessProbe: {exec: {command: [/no/such]}}}
";
        parse("c", text.as_bytes(), &ParseOptions::default()).unwrap()
    }

    async fn check(names: &[&str]) -> Result<(bool, String), UnknownProbe> {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let checks = run(&config(), &names).await?;
        let text = checks.text();
        let lines = text.lines().map(|line| line.split(" (took").next());
        let lines: Vec<&str> = lines
            .flatten()
            .map(|line| line.split(": took").next().unwrap_or(""))
            .collect();
        Ok((checks.succeeded(), lines.join("\n")))
    }

    #[tokio::test]
    async fn named_probes_run_once() {
        let failed = "[-]readyz/a failed: exit_code 3: [31mred end";
        let unknown = "[-]readyz/b unknown: exec: \"/no/such\": no such file or directory";
        let ok = "[+]livez/a ok";
        for (names, succeeded, lines) in [
            (&["livez/a"][..], true, ok.to_owned()),
            (&["livez"], true, ok.to_owned()),
            (&["readyz"], false, failed.to_owned()),
            (&["readyz/b"], false, unknown.to_owned()),
            (&[], false, format!("{ok}\n{failed}\n{unknown}")),
        ] {
            assert_eq!(check(names).await, Ok((succeeded, lines)), "{names:?}");
        }
        for name in ["livez/x", "startupz", "startupz/a", "a"] {
            let unknown = UnknownProbe(name.to_owned());
            assert_eq!(check(&[name]).await, Err(unknown));
        }
    }
}
