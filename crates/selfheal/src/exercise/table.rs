//! A table as `kubectl get` prints it, from the API server's own `Table`.

use anyhow::Context as _;
use kube::Client;
use serde::Deserialize;
use serde_json::Value;

const ACCEPT: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

/// The parts of `meta.k8s.io/v1` Table that are shown.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Table {
    column_definitions: Vec<Column>,
    #[serde(default)]
    rows: Vec<Row>,
}

#[derive(Debug, Deserialize)]
struct Column {
    name: String,
    priority: i32,
}

#[derive(Debug, Deserialize)]
struct Row {
    cells: Vec<Value>,
}

/// Asks the API server for the table at this path.
pub(crate) async fn fetch(client: &Client, path: &str) -> anyhow::Result<Table> {
    let request = http::Request::get(path)
        .header(http::header::ACCEPT, ACCEPT)
        .body(Vec::new())?;
    client
        .request(request)
        .await
        .with_context(|| format!("GET {path}"))
}

impl Table {
    /// Its lines, heading first. Columns are three spaces apart and at least six wide; the last has no padding.
    pub(crate) fn lines(&self, wide: bool) -> Vec<String> {
        align(&self.cells(wide))
    }

    /// The texts of its cells, row by row, heading first.
    pub(crate) fn cells(&self, wide: bool) -> Vec<Vec<String>> {
        let shown: Vec<usize> = (0..self.column_definitions.len())
            .filter(|&i| wide || self.column_definitions[i].priority == 0)
            .collect();
        let heading = shown
            .iter()
            .map(|&i| self.column_definitions[i].name.to_uppercase())
            .collect();
        let body = self
            .rows
            .iter()
            .map(|row| shown.iter().map(|&i| cell(row.cells.get(i))).collect());
        std::iter::once(heading).chain(body).collect()
    }
}

fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

fn align(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |i: usize| {
        let longest = rows
            .iter()
            .filter_map(|row| row.get(i))
            .map(|cell| cell.chars().count())
            .max();
        (longest.unwrap_or(0) + 3).max(6)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let last = row.len().saturating_sub(1);
        let pad = |(i, cell): (usize, &String)| {
            if i == last {
                cell.clone()
            } else {
                format!("{cell:<0$}", widths[i])
            }
        };
        row.iter().enumerate().map(pad).collect::<String>()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests;
