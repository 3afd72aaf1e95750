//! From what was seen to what is told: each change once, in words that can be compared.

use std::collections::BTreeMap;
use std::time::Duration;

use super::names::Names;
use super::objects::{self, Facts};
use super::{Seen, What};
use crate::recording::{Act, Entry, Kind, Recording};

/// How much sooner one watch may show an effect than another its cause.
const WATCHES_APART: Duration = Duration::from_secs(1);

/// The acts, periods and subjects of a recording; the rest is empty.
pub(super) fn transcribe(log: &[Seen], namespace: &str) -> Recording {
    let names = Names::of(log, namespace);
    let mut writer = Writer {
        served_from: served_from(log, &names),
        names,
        told: Recording::default(),
        facts: BTreeMap::new(),
        counts: BTreeMap::new(),
        tables: 0,
    };
    for seen in log {
        writer.write(seen);
    }
    writer.told
}

/// When each application's service may first have an address: what it has before a pod is ready, an earlier exercise left.
fn served_from(log: &[Seen], names: &Names) -> BTreeMap<String, Duration> {
    let mut from = BTreeMap::new();
    for seen in log {
        let What::Pod(pod) = &seen.what else { continue };
        let part = names.part(pod.metadata.uid.as_ref());
        if let Some((app, _)) = part.filter(|_| objects::is_ready(pod)) {
            from.entry(app.clone())
                .or_insert(seen.at.saturating_sub(WATCHES_APART));
        }
    }
    from
}

struct Writer {
    names: Names,
    told: Recording,
    /// What was last true, by subject.
    facts: BTreeMap<String, Facts>,
    /// How often each event object says that it happened, by subject, text and the object's UID.
    counts: BTreeMap<(String, String), BTreeMap<String, i32>>,
    tables: usize,
    /// When an application's service may first have an address.
    served_from: BTreeMap<String, Duration>,
}

fn seconds(at: Duration) -> f64 {
    (at.as_secs_f64() * 1000.0).round() / 1000.0
}

impl Writer {
    fn write(&mut self, seen: &Seen) {
        let at = seconds(seen.at);
        match &seen.what {
            What::Act(text) => self.told.acts.push(Act {
                at,
                text: text.clone(),
            }),
            What::Table(command, rows) => self.table(at, command, rows),
            What::Pod(pod) => {
                let Some((app, part)) = self.names.part(pod.metadata.uid.as_ref()).cloned() else {
                    return;
                };
                if let Some(period) = objects::longest_period(pod) {
                    let longest = self.told.periods.entry(app).or_default();
                    *longest = period.max(*longest);
                }
                let facts = objects::pod(pod);
                self.changes(at, &format!("pod {part}"), facts);
                if seen.gone {
                    self.entry(at, &format!("pod {part}"), "gone");
                }
            }
            What::Deployment(deployment) => {
                let name = deployment.metadata.name.as_deref().unwrap_or_default();
                let facts = objects::deployment(deployment);
                self.changes(at, &format!("deployment {name}"), facts);
            }
            What::Endpoints(endpoints) if !seen.gone => {
                let name = endpoints.metadata.name.as_deref().unwrap_or_default();
                if self
                    .served_from
                    .get(name)
                    .is_none_or(|from| seen.at < *from)
                {
                    return;
                }
                let facts = objects::endpoints(endpoints);
                self.changes(at, &format!("endpoints {name}"), facts);
            }
            What::Event(event) if !seen.gone => self.event(at, event),
            What::Set(_) | What::Endpoints(_) | What::Event(_) => {}
        }
    }

    fn changes(&mut self, at: f64, subject: &str, facts: Facts) {
        let facts: Facts = facts
            .into_iter()
            .map(|(key, text)| (key, self.names.plain(&text)))
            .collect();
        let before = self.facts.get(subject).cloned();
        let before = before.unwrap_or_else(objects::at_first);
        for (key, text) in &facts {
            if before.get(key) != Some(text) {
                self.entry(at, subject, text);
            }
        }
        self.facts.insert(subject.to_owned(), facts);
    }

    fn entry(&mut self, at: f64, subject: &str, text: &str) {
        self.push(subject, at, Kind::Change, text.to_owned(), None);
    }

    fn push(&mut self, subject: &str, at: f64, kind: Kind, text: String, count: Option<i32>) {
        let entries = self.told.subjects.entry(subject.to_owned()).or_default();
        entries.push(Entry {
            at,
            kind,
            text,
            count,
        });
    }

    /// Rows are sorted by what they say: a cluster sorts them by names that are chance.
    fn table(&mut self, at: f64, command: &str, rows: &[Vec<String>]) {
        self.tables += 1;
        let subject = format!("table {}: {command}", self.tables);
        let Some((heading, rows)) = rows.split_first() else {
            return;
        };
        let row = |cells: &Vec<String>| {
            let cells = heading.iter().zip(cells).map(|(column, cell)| {
                let age = column == "AGE";
                if age {
                    "AGE".to_owned()
                } else {
                    self.names.plain(cell)
                }
            });
            cells.collect::<Vec<_>>().join(" | ")
        };
        let mut lines: Vec<String> = rows.iter().map(row).collect();
        lines.sort();
        lines.insert(0, heading.join(" | "));
        for line in lines {
            self.push(&subject, at, Kind::Row, line, None);
        }
    }

    /// Events with the same words are one, however many objects the recorder of events has made of them.
    fn event(&mut self, at: f64, event: &k8s_openapi::api::core::v1::Event) {
        let involved = &event.involved_object;
        let Some((_, part)) = self.names.part(involved.uid.as_ref()) else {
            return;
        };
        let kind = involved.kind.as_deref().unwrap_or_default().to_lowercase();
        let subject = format!("{kind} {part}");
        let text = self.names.plain(&objects::event(event));
        let uid = event.metadata.uid.clone().unwrap_or_default();
        let series = event.series.as_ref().and_then(|series| series.count);
        let count = series.or(event.count).unwrap_or(1).max(1);
        let counts = self
            .counts
            .entry((subject.clone(), text.clone()))
            .or_default();
        let first = counts.is_empty();
        counts.insert(uid, count);
        let count: i32 = counts.values().sum();
        if first {
            self.push(&subject, at, Kind::Event, text, Some(count));
        } else if let Some(entries) = self.told.subjects.get_mut(&subject) {
            let same = |entry: &&mut Entry| entry.kind == Kind::Event && entry.text == text;
            if let Some(entry) = entries.iter_mut().find(same) {
                entry.count = Some(count);
            }
        }
    }
}
