//! Tables of exercises and of their results.

use std::io::{self, Write};

use crate::columns;
use crate::exercise::Exercise;
use crate::exercise::report::Report;

/// Prints the name and title of each exercise.
pub(super) fn print_list(out: &mut dyn Write, exercises: &[Exercise]) -> io::Result<()> {
    let rows = exercises.iter();
    let rows = rows.map(|exercise| vec![exercise.name.clone(), exercise.title.clone()]);
    print_rows(out, &rows.collect::<Vec<_>>())
}

fn print_rows(out: &mut dyn Write, rows: &[Vec<String>]) -> io::Result<()> {
    for line in columns::align(rows, columns::COMPACT) {
        writeln!(out, "{line}")?;
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

/// Prints the result of each exercise. The transcript of a single exercise has its result already, so it prints nothing then,
/// unless the exercise did not start or stopped early.
pub(super) fn print(out: &mut dyn Write, reports: &[Report]) -> io::Result<()> {
    if let [report] = reports
        && report.reason.is_none()
    {
        return Ok(());
    }
    writeln!(out, "\n== Results")?;
    let rows = reports.iter().map(|report| {
        let text = report.reason.clone().unwrap_or_else(|| report.summary());
        vec![report.verdict.to_string(), report.exercise.clone(), text]
    });
    print_rows(out, &rows.collect::<Vec<_>>())?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exercise::catalog;
    use crate::exercise::verdict::Verdict;

    #[test]
    fn list_has_the_titles_in_one_column() {
        let exercises = catalog::all().unwrap();
        let mut out = Vec::new();
        print_list(&mut out, &exercises).unwrap();
        let printed = String::from_utf8(out).unwrap();
        let columns = printed.lines().zip(&exercises).map(|(line, exercise)| {
            assert!(line.starts_with(&format!("{}  ", exercise.name)), "{line}");
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
        let report = Report::without_results(&exercise, "node", "", Verdict::Skipped, reason);
        let mut out = Vec::new();
        print(&mut out, &[report]).unwrap();
        let expected = "\n== Results\nSKIPPED  todo  PostgreSQL is not installed\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
