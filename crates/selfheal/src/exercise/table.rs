//! Tables as `kubectl get` prints them, from the API server's `meta.k8s.io/v1` Table.

use anyhow::Context as _;
use kube::Client;
use serde::Deserialize;
use serde_json::Value;

use crate::columns;

const ACCEPT: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

/// Printed fields of a Table.
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

/// Requests the table at this path of the API server.
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
    /// Returns the lines, heading first, with kubectl's column widths.
    pub(crate) fn lines(&self, wide: bool) -> Vec<String> {
        columns::align(&self.cells(wide), columns::KUBECTL)
    }

    /// Returns the texts of the cells row by row, heading first; with `wide`, also those of columns with a priority above 0.
    pub(crate) fn cells(&self, wide: bool) -> Vec<Vec<String>> {
        let printed: Vec<usize> = (0..self.column_definitions.len())
            .filter(|&i| wide || self.column_definitions[i].priority == 0)
            .collect();
        let heading = printed
            .iter()
            .map(|&i| self.column_definitions[i].name.to_uppercase())
            .collect();
        let body = self.rows.iter().map(|row| {
            printed
                .iter()
                .map(|&i| cell_text(row.cells.get(i)))
                .collect()
        });
        std::iter::once(heading).chain(body).collect()
    }
}

fn cell_text(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
