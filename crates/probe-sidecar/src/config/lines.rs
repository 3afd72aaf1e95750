//! Line numbers of the fields of a YAML text.

use std::collections::HashMap;

use serde_saphyr::granit_parser::{Event, Parser};

/// Lines by path, such as `targets[0].livenessProbe`.
#[derive(Debug, Default)]
pub(crate) struct LineMap(HashMap<String, usize>);

impl LineMap {
    /// Reads a text. If it is not valid YAML, the map has the lines before the error.
    pub(crate) fn read(text: &str) -> Self {
        let mut builder = LineMapBuilder::default();
        let mut parser = Parser::new_from_str(text);
        while let Some(Ok((event, span))) = parser.next_event() {
            builder.handle_event(&event, span.start.line());
        }
        Self(builder.lines)
    }

    /// Returns the line of a field, or of its nearest parent in the text.
    pub(crate) fn line_of(&self, field: &str) -> Option<usize> {
        let mut path = field;
        loop {
            if let Some(line) = self.0.get(path) {
                return Some(*line);
            }
            path = &path[..path.rfind(['.', '['])?];
        }
    }
}

/// An open collection.
enum Frame {
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
struct LineMapBuilder {
    lines: HashMap<String, usize>,
    frames: Vec<Frame>,
}

impl LineMapBuilder {
    fn handle_event(&mut self, event: &Event<'_>, line: usize) {
        match event {
            Event::Scalar(text, ..) => {
                if let Some(Frame::Map { path, key }) = self.frames.last_mut()
                    && key.is_none()
                {
                    self.lines.entry(join(path, text)).or_insert(line);
                    *key = Some(text.to_string());
                    return;
                }
                self.add_node(line);
            }
            Event::Alias(_) => {
                self.add_node(line);
            }
            Event::MappingStart(..) => {
                let path = self.add_node(line);
                self.frames.push(Frame::Map { path, key: None });
            }
            Event::SequenceStart(..) => {
                let path = self.add_node(line);
                self.frames.push(Frame::List { path, next: 0 });
            }
            Event::MappingEnd | Event::SequenceEnd => {
                self.frames.pop();
            }
            _ => {}
        }
    }

    /// Adds a node to the current collection and returns its path.
    fn add_node(&mut self, line: usize) -> String {
        match self.frames.last_mut() {
            None => String::new(),
            Some(Frame::Map { path, key }) => match key.take() {
                Some(key) => join(path, &key),
                // A collection as a key has no path.
                None => {
                    *key = Some("?".to_owned());
                    join(path, "?")
                }
            },
            Some(Frame::List { path, next }) => {
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
    fn field_has_its_line() {
        let lines = LineMap::read(TEXT);
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
            assert_eq!(lines.line_of(field), line, "{field}");
        }
    }

    #[test]
    fn missing_field_has_the_line_of_its_parent() {
        let lines = LineMap::read(TEXT);
        assert_eq!(
            lines.line_of("targets[1].readinessProbe.tcpSocket"),
            Some(7)
        );
        assert_eq!(lines.line_of("targets[7]"), Some(2));
    }

    #[test]
    fn invalid_text_has_the_lines_before_the_error() {
        assert_eq!(LineMap::read("a: 1\nb: [").line_of("a"), Some(1));
    }
}
