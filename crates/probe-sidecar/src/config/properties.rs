//! Property tests: every text is accepted or rejected with problems, without a panic.

use proptest::prelude::*;

use super::{ParseOptions, parse};

const VALID: &str = "
healthyWhen: [stale]
staleAfterMilliseconds: 500
targets:
- name: a
  host: h
  dependency: true
  ports: [{name: web, containerPort: 80}]
  env: [{name: A, value: b}]
  startupProbe: {grpc: {port: 1, service: s}, extensions: {tls: {caFile: /c, certFile: /d, keyFile: /e, serverName: name}}}
  livenessProbe: {exec: {command: [x, $(A)]}, periodSeconds: 3, extensions: {periodMilliseconds: 20}}
  readinessProbe: {httpGet: {path: /x, port: web, httpHeaders: [{name: X, value: v}]}, extensions: {expect: {statuses: [200], bodyMatches: 'a+', headers: [{name: q, matches: z}]}}}
- name: b
  livenessProbe: {extensions: {unixSocket: {path: /s}}}
  readinessProbe: {extensions: {postgres: {conninfo: host=x, checks: [login, lag=3s]}}}
groups: [{name: g, members: [livez/a, readyz/b], require: 1, policy: failOpen}]
actions: [{name: x, when: {probe: livez/a, becomes: healthy}, signal: {name: SIGHUP, process: {port: 1}}, budget: {count: 1, windowSeconds: 2}}]
";

#[test]
fn text_that_the_properties_mutate_is_valid() {
    parse("c", VALID.as_bytes(), &ParseOptions::default()).unwrap();
}

proptest! {
    #[test]
    fn any_bytes_are_accepted_or_rejected(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse("c", &bytes, &ParseOptions::default());
    }

    #[test]
    fn any_yaml_characters_are_accepted_or_rejected(text in "[-a-c:\\[\\]{}, \n&*!|>'\"#%?0-9.~]{0,200}") {
        let _ = parse("c", text.as_bytes(), &ParseOptions::default());
    }

    #[test]
    fn mutated_configuration_is_accepted_or_rejected_with_problems(
        at in 0..VALID.len(), cut in 0..40_usize, piece in "([-0-9]{1,20}|[a-z~\\[\\]{}:, \n'\"]{0,10}|null|true)",
    ) {
        let mut text = VALID.as_bytes().to_vec();
        let end = (at + cut).min(text.len());
        text.splice(at..end, piece.bytes());
        if let Err(error) = parse("c", &text, &ParseOptions::default()) {
            prop_assert!(!error.problems.is_empty());
            prop_assert!(!error.to_string().is_empty());
        }
    }
}
