//! Tables of exercises and of their results.

use std::io::{self, Write};

use crate::exercise::Exercise;
use crate::exercise::report::Report;

/// Prints the name and title of each exercise.
pub(super) fn list(out: &mut dyn Write, exercises: &[Exercise]) -> io::Result<()> {
    let width = width(exercises.iter().map(|exercise| exercise.name.as_str()));
    for exercise in exercises {
        writeln!(out, "{:<width$}  {}", exercise.name, exercise.title)?;
    }
    Ok(())
}

/// Prints the exercises that do not run, before the first one does.
pub(super) fn print_blocked(out: &mut dyn Write, reports: &[Report]) -> io::Result<()> {
    for report in reports {
        let reason = report.reason.as_deref().unwrap_or_default();
        writeln!(out, "{}  {}: {reason}", report.verdict, report.exercise)?;
    }
    if !reports.is_empty() {
        writeln!(out)?;
    }
    out.flush()
}

/// Prints one line an exercise and the counts of the verdicts; nothing more than its transcript for one that ran alone.
pub(super) fn print(out: &mut dyn Write, reports: &[Report]) -> io::Result<()> {
    if let [report] = reports
        && report.reason.is_none()
    {
        return Ok(());
    }
    writeln!(out, "\n== Results")?;
    let verdict_width = width(reports.iter().map(|report| report.verdict.word()));
    let name_width = width(reports.iter().map(|report| report.exercise.as_str()));
    for report in reports {
        let text = report.reason.clone().unwrap_or_else(|| report.summary());
        writeln!(
            out,
            "{:<verdict_width$}  {:<name_width$}  {text}",
            report.verdict, report.exercise
        )?;
    }
    out.flush()
}

fn width<'a>(texts: impl Iterator<Item = &'a str>) -> usize {
    texts.map(|text| text.chars().count()).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exercise::catalog;
    use crate::exercise::verdict::Verdict;

    #[test]
    fn list_puts_the_titles_into_one_column() {
        let exercises = catalog::all().unwrap();
        let mut out = Vec::new();
        list(&mut out, &exercises).unwrap();
        let printed = String::from_utf8(out).unwrap();
        let columns = printed.lines().zip(&exercises).map(|(line, exercise)| {
            assert!(
                line.starts_with(&format!("{}  ", exercise.name))
                    || line.starts_with(&format!("{} ", exercise.name))
            );
            line.find(&exercise.title)
        });
        let columns: Vec<_> = columns.collect();
        let expected = "rolling-update".len() + 2;
        assert!(
            columns.iter().all(|column| *column == Some(expected)),
            "{printed}"
        );
    }

    #[test]
    fn results_show_the_reason_of_a_skipped_exercise() {
        let exercise = catalog::select(&["todo".to_owned()]).unwrap().remove(0);
        let reason = Some("PostgreSQL is not installed".to_owned());
        let report = Report::not_started(&exercise, "node", "", Verdict::Skipped, reason);
        let mut out = Vec::new();
        print(&mut out, &[report]).unwrap();
        let expected = "\n== Results\nSKIPPED  todo  PostgreSQL is not installed\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
