use serde_json::json;

use super::Table;

fn pods() -> Table {
    serde_json::from_value(json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1",
        "columnDefinitions": [
            {"name": "Name", "type": "string", "priority": 0},
            {"name": "Ready", "type": "string", "priority": 0},
            {"name": "Restarts", "type": "string", "priority": 0},
            {"name": "IP", "type": "string", "priority": 1},
            {"name": "Age", "type": "string", "priority": 0},
        ],
        "rows": [
            {"cells": ["numbers-api-7bf6c69dfb-2rt59", "1/1", "1 (60s ago)", "10.244.0.2", "100s"]},
            {"cells": ["a", "1/1", 0, null, "104s"]},
        ],
    }))
    .unwrap()
}

#[test]
fn table_is_printed_with_kubectls_spacing() {
    let expected = [
        "NAME                           READY   RESTARTS      AGE",
        "numbers-api-7bf6c69dfb-2rt59   1/1     1 (60s ago)   100s",
        "a                              1/1     0             104s",
    ];
    assert_eq!(pods().lines(false), expected);
}

#[test]
fn wide_table_has_all_columns_and_null_is_empty() {
    let expected = [
        "NAME                           READY   RESTARTS      IP           AGE",
        "numbers-api-7bf6c69dfb-2rt59   1/1     1 (60s ago)   10.244.0.2   100s",
        "a                              1/1     0                          104s",
    ];
    assert_eq!(pods().lines(true), expected);
}
