//! `selfheal doctor`.

use std::collections::BTreeMap;
use std::io::{self, Write as _};

use super::cluster::{self, ClusterArguments};
use super::{NodeArguments, Output, exercise_names};
use crate::doctor::cluster::ClusterChecks;
use crate::doctor::{self, Finding, Status, kubectl, ports, postgresql};
use crate::embedded::{self, ImageProblem, image_problem};
use crate::exercise::{Exercise, catalog, manifests};
use crate::exit::Exit;

/// Arguments of `selfheal doctor`.
#[derive(Debug, clap::Args)]
pub(crate) struct DoctorArguments {
    /// Exercises to check for. Default: all
    #[arg(value_name = "NAME", value_delimiter = ',', value_parser = exercise_names(&[]), hide_possible_values = true)]
    names: Vec<String>,

    #[command(flatten)]
    cluster: ClusterArguments,

    #[command(flatten)]
    node: NodeArguments,

    /// Output format
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// Runs the checks and prints a line for each.
pub(crate) async fn run(arguments: &DoctorArguments) -> anyhow::Result<Exit> {
    let exercises = catalog::select(&arguments.names)?;
    let mut findings = match &arguments.cluster.kubeconfig {
        None => host_findings(&exercises, &arguments.node)?,
        Some(file) => {
            let connection = cluster::connect(file, arguments.cluster.context.as_deref()).await?;
            let checks = ClusterChecks {
                client: connection.client,
                namespace: arguments.cluster.namespace.as_deref(),
                has_load_balancers: arguments.cluster.node_address.is_none(),
            };
            checks.findings(&exercises).await
        }
    };
    findings.push(kubectl::check_version());
    let mut out = io::stdout().lock();
    match arguments.output {
        Output::Text => doctor::print(&mut out, &findings)?,
        Output::Json => {
            serde_json::to_writer_pretty(&mut out, &findings)?;
            writeln!(out)?;
        }
    }
    Ok(doctor::exit(&findings))
}

/// Findings for a node on this host.
fn host_findings(exercises: &[Exercise], node: &NodeArguments) -> anyhow::Result<Vec<Finding>> {
    let mut findings = vec![match embedded::test_namespaces() {
        Ok(()) => Finding::new("namespaces", Status::Ok, "this user can create namespaces"),
        Err(text) => Finding::new("namespaces", Status::Failed, text),
    }];
    let mut service_ports = BTreeMap::new();
    let mut needing_postgresql = Vec::new();
    let mut problems = Vec::new();
    for exercise in exercises {
        service_ports.extend(manifests::load_balancer_ports(exercise)?);
        for image in manifests::images(exercise)? {
            match image_problem(node, &image)? {
                None => {}
                Some(ImageProblem::NeedsPostgresql) => needing_postgresql.push(&exercise.name),
                Some(ImageProblem::Other(text)) if problems.contains(&text) => {}
                Some(ImageProblem::Other(text)) => problems.push(text),
            }
        }
    }
    findings.push(if problems.is_empty() {
        Finding::new("programs", Status::Ok, "the programs of all images exist")
    } else {
        Finding::new("programs", Status::Failed, problems.join("\n"))
    });
    findings.push(postgresql_finding(&needing_postgresql));
    for (port, service) in service_ports {
        let check = format!("port {port}");
        findings.push(match ports::find_conflict(port) {
            None => Finding::new(&check, Status::Ok, format!("free for service {service}")),
            Some(conflict) => Finding::new(&check, Status::Failed, conflict),
        });
    }
    Ok(findings)
}

fn postgresql_finding(needed_by: &[&String]) -> Finding {
    let check = "PostgreSQL";
    match postgresql::find_bin_dir() {
        Ok(found) => Finding::new(check, Status::Ok, found),
        Err(reason) if needed_by.is_empty() => Finding::new(check, Status::Warning, reason),
        Err(reason) => {
            let names: Vec<&str> = needed_by.iter().map(|name| name.as_str()).collect();
            let text = format!("{} do not run: {reason}", names.join(", "));
            Finding::new(check, Status::Skipped, text)
        }
    }
}
