//! Exercises that are interrupted, on a node of their own and on that of `selfheal up`.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStdout, Stdio};

use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};
use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{TestNode, reserve_ports, selfheal, skip_without_namespaces, text};

/// Two running exercises: the first has finished with a restart, and the second is in a sleep of 20 s.
struct RunningExercises {
    process: Child,
    out: BufReader<ChildStdout>,
    transcript: String,
}

impl RunningExercises {
    /// Starts the exercises and reads their transcript up to the sleep; `None` without namespaces.
    fn start(arguments: &[&str]) -> Option<Self> {
        let mut process = selfheal()
            .args(["exercise", "liveness,readiness"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(process.stdout.take().unwrap());
        let mut transcript = String::new();
        loop {
            let mut line = String::new();
            if out.read_line(&mut line).unwrap() == 0 {
                let output = process.wait_with_output().unwrap();
                let errors = text(&output.stderr);
                assert!(skip_without_namespaces(&errors), "{transcript}{errors}");
                return None;
            }
            transcript.push_str(&line);
            if line.starts_with("$ sleep") {
                break;
            }
        }
        assert!(
            transcript.contains("1 (") && transcript.contains(" ago)"),
            "{transcript}"
        );
        Some(Self {
            process,
            out,
            transcript,
        })
    }

    /// Interrupts the exercise; returns its exit code, transcript and errors.
    fn interrupt(mut self) -> (Option<i32>, String, String) {
        let pid = Pid::from_raw(i32::try_from(self.process.id()).unwrap()).unwrap();
        kill_process(pid, Signal::INT).unwrap();
        self.out.read_to_string(&mut self.transcript).unwrap();
        let output = self.process.wait_with_output().unwrap();
        (output.status.code(), self.transcript, text(&output.stderr))
    }
}

#[track_caller]
fn assert_cleaned_up((code, transcript, errors): &(Option<i32>, String, String)) {
    assert_eq!((*code, errors.as_str()), (Some(130), ""), "{transcript}");
    for line in [
        "(interrupted: deleting the created objects",
        "INTERRUPTED  0 of 4 assertions passed\n",
    ] {
        assert!(
            transcript.contains(line),
            "{line:?} is not in\n{transcript}"
        );
    }
    let deleted =
        transcript.matches("deployment.apps/numbers-api deleted\nservice/numbers-api deleted\n");
    assert_eq!(deleted.count(), 2, "{transcript}");
}

#[test]
fn interrupted_exercise_on_its_own_node_deletes_its_objects_before_the_node_stops() {
    let Some(_ports) = reserve_ports() else {
        return;
    };
    if let Some(running) = RunningExercises::start(&["--speed=4"]) {
        assert_cleaned_up(&running.interrupt());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn interrupted_exercise_on_a_cluster_leaves_no_object() {
    let Some(_ports) = reserve_ports() else {
        return;
    };
    let Some(node) = TestNode::start_with(&["--speed=4"]) else {
        return;
    };
    let kubeconfig = node.kubeconfig();
    let running = RunningExercises::start(&["--kubeconfig", kubeconfig.to_str().unwrap()]).unwrap();
    assert_cleaned_up(&running.interrupt());
    let client = node.client().await;
    let pods = Api::<Pod>::all(client.clone());
    let pods = pods.list(&ListParams::default()).await.unwrap();
    assert_eq!(pods.items.len(), 0);
    let namespaces = Api::<Namespace>::all(client);
    let namespaces = namespaces.list(&ListParams::default()).await.unwrap();
    let remaining = namespaces
        .iter()
        .find(|namespace| namespace.name_any().starts_with("selfheal-exercise"));
    assert!(remaining.is_none(), "{remaining:?}");
}
