//! Whatever a configuration holds, it is read or refused.

use proptest::prelude::*;

use super::{Surroundings, parse};

const WHOLE: &str = "
healthyWhen: [stale]
staleAfterMilliseconds: 500
targets:
- name: a
  host: h
  dependency: true
  ports: [{name: web, containerPort: 80}]
  env: [{name: A, value: b}]
  startupProbe: {grpc: {port: 1, service: s}, beyond: {tls: {caFile: /c, certFile: /d, keyFile: /e, serverName: name}}}
  livenessProbe: {exec: {command: [x, $(A)]}, periodSeconds: 3, beyond: {periodMilliseconds: 20}}
  readinessProbe: {httpGet: {path: /x, port: web, httpHeaders: [{name: X, value: v}]}, beyond: {expect: {statuses: [200], bodyMatches: 'a+', headers: [{name: q, matches: z}]}}}
- name: b
  livenessProbe: {beyond: {unixSocket: {path: /s}}}
  readinessProbe: {beyond: {postgres: {conninfo: host=x, checks: [login, lag=3s]}}}
groups: [{name: g, members: [livez/a, readyz/b], require: 1, policy: failOpen}]
actions: [{name: x, when: {probe: livez/a, becomes: healthy}, signal: {name: SIGHUP, process: {port: 1}}, budget: {count: 1, windowSeconds: 2}}]
";

#[test]
fn the_text_that_is_broken_here_is_whole() {
    parse("c", WHOLE.as_bytes(), &Surroundings::default()).unwrap();
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse("c", &bytes, &Surroundings::default());
    }

    #[test]
    fn any_text_of_yamls_letters_is_read_or_refused(text in "[-a-c:\\[\\]{}, \n&*!|>'\"#%?0-9.~]{0,200}") {
        let _ = parse("c", text.as_bytes(), &Surroundings::default());
    }

    #[test]
    fn a_configuration_with_a_piece_replaced_is_read_or_refused_with_a_line(
        at in 0..WHOLE.len(), cut in 0..40_usize, piece in "([-0-9]{1,20}|[a-z~\\[\\]{}:, \n'\"]{0,10}|null|true)",
    ) {
        let mut text = WHOLE.as_bytes().to_vec();
        let end = (at + cut).min(text.len());
        text.splice(at..end, piece.bytes());
        if let Err(error) = parse("c", &text, &Surroundings::default()) {
            prop_assert!(!error.problems.is_empty());
            prop_assert!(!error.to_string().is_empty());
        }
    }
}
