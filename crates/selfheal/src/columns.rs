//! Aligned columns of text, by display width.

use std::io::Write as _;

use tabwriter::TabWriter;

/// Widths of columns, in display columns.
#[derive(Clone, Copy)]
pub(crate) struct Spacing {
    /// Minimum width of a cell without its padding.
    min_width: usize,
    /// Number of spaces between a cell and the next one.
    padding: usize,
}

/// Spacing of kubectl's tables: cells of at least six columns, of which three are padding.
pub(crate) const KUBECTL: Spacing = Spacing {
    min_width: 3,
    padding: 3,
};

/// Spacing of this program's own tables.
pub(crate) const COMPACT: Spacing = Spacing {
    min_width: 0,
    padding: 2,
};

/// Aligns the cells of rows. The last cell of a row is not padded; its further lines are below the first one.
pub(crate) fn align(rows: &[Vec<String>], spacing: Spacing) -> Vec<String> {
    let mut writer = TabWriter::new(Vec::new())
        .minwidth(spacing.min_width)
        .padding(spacing.padding);
    for row in rows {
        let Some((last, cells)) = row.split_last() else {
            continue;
        };
        let indent = "\t".repeat(cells.len());
        let cells: String = cells.iter().map(|cell| format!("{cell}\t")).collect();
        let last = last.replace('\n', &format!("\n{indent}"));
        writeln!(writer, "{cells}{last}").expect("a vector accepts all writes");
    }
    let aligned = writer.into_inner().expect("a vector accepts all writes");
    let text = String::from_utf8_lossy(&aligned);
    text.lines().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows<const N: usize>(rows: &[[&str; N]]) -> Vec<Vec<String>> {
        let row = |row: &[&str; N]| row.map(str::to_owned).to_vec();
        rows.iter().map(row).collect()
    }

    #[test]
    fn columns_are_aligned_by_display_width_and_the_last_is_not_padded() {
        let table = rows(&[["a", "b"], ["日本", "c"], ["", "d"]]);
        assert_eq!(align(&table, COMPACT), ["a     b", "日本  c", "      d"]);
    }

    #[test]
    fn kubectl_column_is_at_least_six_wide_with_three_spaces() {
        let table = rows(&[["A", "RESTARTS", "B"], ["x", "1", "y"]]);
        let expected = ["A     RESTARTS   B", "x     1          y"];
        assert_eq!(align(&table, KUBECTL), expected);
    }

    #[test]
    fn row_with_an_empty_last_cell_is_kept() {
        let table = rows(&[["a", "b"], ["c", ""]]);
        assert_eq!(align(&table, COMPACT), ["a  b", "c  "]);
    }

    #[test]
    fn further_lines_of_the_last_cell_are_below_its_first_one() {
        let table = rows(&[["a", "b\nc"], ["long", "d"]]);
        assert_eq!(align(&table, COMPACT), ["a     b", "      c", "long  d"]);
    }
}
