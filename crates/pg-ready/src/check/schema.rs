//! The schema version, in the tables of migration tools.

use super::session::Session;
use crate::attempt::Failure;
use crate::state::State;

/// A table in which a migration tool keeps versions.
struct VersionTable {
    name: &'static str,
    column: &'static str,
    kind: VersionKind,
}

#[derive(PartialEq, Eq)]
enum VersionKind {
    /// Numbers, also dotted ones: the highest one is the schema version.
    Number,
    /// Names of migrations, or of the newest migration: the required one has to be among them.
    Name,
}

/// The tables in the order in which they are tried.
const TABLES: [VersionTable; 8] = [
    // golang-migrate, Rails, dbmate.
    number("schema_migrations", "version"),
    number("refinery_schema_history", "version"),
    number("_sqlx_migrations", "version"),
    number("flyway_schema_history", "version"),
    number("goose_db_version", "version_id"),
    number("__diesel_schema_migrations", "version"),
    VersionTable {
        name: "alembic_version",
        column: "version_num",
        kind: VersionKind::Name,
    },
    // Liquibase.
    VersionTable {
        name: "databasechangelog",
        column: "id",
        kind: VersionKind::Name,
    },
];

const fn number(name: &'static str, column: &'static str) -> VersionTable {
    VersionTable {
        name,
        column,
        kind: VersionKind::Number,
    }
}

/// Checks the first of [`TABLES`] that exists: no migration failed or is unfinished, and the required one is applied.
pub(super) async fn check(session: &Session, required: &str) -> Result<(), Failure> {
    for table in &TABLES {
        let exists = format!(
            "SELECT pg_catalog.to_regclass('{}') IS NOT NULL",
            table.name
        );
        if session.query_bool(&exists).await? {
            check_failed(session, table).await?;
            return match table.kind {
                VersionKind::Number => check_number(session, table, required).await,
                VersionKind::Name => check_name(session, table, required).await,
            };
        }
    }
    let names = TABLES.map(|table| table.name).join(", ");
    Err(behind(
        &format!("none of the tables {names} exists"),
        required,
    ))
}

/// Returns a statement for the versions `v` and the rows `r`, as JSON: the columns differ between tools.
fn select(table: &VersionTable, condition: &str) -> String {
    let VersionTable { name, column, .. } = table;
    // goose adds a row for each change of a version, so only the last one of each counts.
    let newest = if *name == "goose_db_version" {
        "WHERE id = (SELECT max(id) FROM goose_db_version AS g WHERE g.version_id = t.version_id)"
    } else {
        ""
    };
    format!(
        "SELECT v FROM (SELECT to_jsonb(t) AS r, to_jsonb(t) ->> '{column}' AS v FROM {name} AS t {newest}) AS s \
         WHERE {condition}"
    )
}

async fn check_failed(session: &Session, table: &VersionTable) -> Result<(), Failure> {
    const FAILED: &str = "r ->> 'dirty' = 'true' OR r ->> 'success' = 'false' OR r ->> 'exectype' = 'FAILED' LIMIT 1";
    let failed = session.query_first_row(&select(table, FAILED)).await?;
    let Some(version) = failed.map(|row| row.into_iter().next().flatten().unwrap_or_default())
    else {
        return Ok(());
    };
    let reason = format!(
        "migration {version} in {} failed or is not finished",
        table.name
    );
    Err(Failure::new(State::SchemaFailed, &reason))
}

async fn check_number(
    session: &Session,
    table: &VersionTable,
    required: &str,
) -> Result<(), Failure> {
    const HIGHEST: &str = "v ~ '^[0-9]+([.][0-9]+)*$' AND coalesce(r ->> 'is_applied', 'true') = 'true' \
        ORDER BY string_to_array(v, '.')::numeric[] DESC LIMIT 1";
    let Some(minimum) = parse_number(required) else {
        let reason = format!("versions in {} are numbers", table.name);
        return Err(behind(&reason, required));
    };
    match session.query_value(&select(table, HIGHEST)).await? {
        Some(version) if parse_number(&version).is_some_and(|number| number >= minimum) => Ok(()),
        Some(version) => Err(behind(
            &format!("schema version {version} in {}", table.name),
            required,
        )),
        None => Err(behind(
            &format!("no schema version in {}", table.name),
            required,
        )),
    }
}

async fn check_name(
    session: &Session,
    table: &VersionTable,
    required: &str,
) -> Result<(), Failure> {
    let literal = required.replace('\'', "''");
    let found = select(table, &format!("v = '{literal}' LIMIT 1"));
    if session.query_first_row(&found).await?.is_some() {
        return Ok(());
    }
    Err(behind(
        &format!("{required:?} is not in {}", table.name),
        required,
    ))
}

/// Parses a dotted number; zeros at its end have no meaning, as in Flyway.
fn parse_number(text: &str) -> Option<Vec<u64>> {
    let mut parts: Vec<u64> = text
        .split('.')
        .map(|part| part.parse().ok())
        .collect::<Option<_>>()?;
    while parts.last() == Some(&0) {
        parts.pop();
    }
    Some(parts)
}

fn behind(found: &str, required: &str) -> Failure {
    let reason = format!("{found}, the required version is {required}");
    Failure::new(State::SchemaBehind, &reason)
}
