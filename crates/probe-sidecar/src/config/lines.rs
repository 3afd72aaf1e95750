//! On which line of a YAML text each field stands.

use std::collections::HashMap;

use serde_saphyr::granit_parser::{Event, Parser};

/// Lines by path, as `targets[0].livenessProbe`.
#[derive(Debug, Default)]
pub(crate) struct Lines(HashMap<String, usize>);

impl Lines {
    /// Reads a text that has been found to be YAML. Of one that is not, the part before the error.
    pub(crate) fn read(text: &str) -> Self {
        let mut walk = Walk::default();
        let mut parser = Parser::new_from_str(text);
        while let Some(Ok((event, span))) = parser.next_event() {
            walk.step(&event, span.start.line());
        }
        Self(walk.lines)
    }

    /// The line of a field, or of the nearest field around it that the text has.
    pub(crate) fn of(&self, field: &str) -> Option<usize> {
        let mut path = field;
        loop {
            if let Some(line) = self.0.get(path) {
                return Some(*line);
            }
            path = &path[..path.rfind(['.', '['])?];
        }
    }
}

/// A collection that has been begun.
enum Level {
    /// The next node is a key, or the value of one.
    Map {
        path: String,
        key: Option<String>,
    },
    List {
        path: String,
        next: usize,
    },
}

#[derive(Default)]
struct Walk {
    lines: HashMap<String, usize>,
    levels: Vec<Level>,
}

impl Walk {
    fn step(&mut self, event: &Event<'_>, line: usize) {
        match event {
            Event::Scalar(text, ..) => {
                if let Some(Level::Map { path, key }) = self.levels.last_mut()
                    && key.is_none()
                {
                    self.lines.entry(join(path, text)).or_insert(line);
                    *key = Some(text.to_string());
                    return;
                }
                self.node(line);
            }
            Event::Alias(_) => {
                self.node(line);
            }
            Event::MappingStart(..) => {
                let path = self.node(line);
                self.levels.push(Level::Map { path, key: None });
            }
            Event::SequenceStart(..) => {
                let path = self.node(line);
                self.levels.push(Level::List { path, next: 0 });
            }
            Event::MappingEnd | Event::SequenceEnd => {
                self.levels.pop();
            }
            _ => {}
        }
    }

    /// Takes the place of one node in its collection, and says where that is.
    fn node(&mut self, line: usize) -> String {
        match self.levels.last_mut() {
            None => String::new(),
            Some(Level::Map { path, key }) => match key.take() {
                Some(key) => join(path, &key),
                // A collection as a key: it has no path that anything here could name.
                None => {
                    *key = Some("?".to_owned());
                    join(path, "?")
                }
            },
            Some(Level::List { path, next }) => {
                let path = format!("{path}[{next}]");
                *next += 1;
                self.lines.entry(path.clone()).or_insert(line);
                path
            }
        }
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# a comment
targets:
- name: a
  livenessProbe:
    httpGet: {path: /,
      port: 80}
- name: b
  list:
  - - 1
    - 2
? [x]
: y
last: 1
";

    #[test]
    fn fields_are_found_on_their_lines() {
        let lines = Lines::read(TEXT);
        for (field, line) in [
            ("targets", Some(2)),
            ("targets[0]", Some(3)),
            ("targets[0].name", Some(3)),
            ("targets[0].livenessProbe.httpGet.path", Some(5)),
            ("targets[0].livenessProbe.httpGet.port", Some(6)),
            ("targets[1].list[0][1]", Some(10)),
            ("last", Some(13)),
            ("nothing", None),
        ] {
            assert_eq!(lines.of(field), line, "{field}");
        }
    }

    #[test]
    fn a_field_that_is_not_there_is_sought_in_what_is_around_it() {
        let lines = Lines::read(TEXT);
        assert_eq!(lines.of("targets[1].readinessProbe.tcpSocket"), Some(7));
        assert_eq!(lines.of("targets[7]"), Some(2));
    }

    #[test]
    fn a_broken_text_has_the_lines_before_the_break() {
        assert_eq!(Lines::read("a: 1\nb: [").of("a"), Some(1));
    }
}
