//! `--check=schema` with the tables of migration tools.

use super::*;

#[test]
fn schema_version_is_read_from_the_tables_of_migration_tools() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start(&bin, "");
    let line = "-h {dir} -p {port} -U postgres --output=json --check";
    for (table, columns, rows, required, expected) in [
        (
            "schema_migrations",
            "version bigint, dirty boolean",
            "(12, false)",
            "12",
            "accepting",
        ),
        (
            "schema_migrations",
            "version bigint, dirty boolean",
            "(12, true)",
            "12",
            "schema_failed",
        ),
        (
            "schema_migrations",
            "version text",
            "('9'), ('10')",
            "11",
            "schema_behind",
        ),
        (
            "schema_migrations",
            "version text",
            "('name')",
            "1",
            "schema_behind",
        ),
        (
            "refinery_schema_history",
            "version int, name text",
            "(2, 'a')",
            "2",
            "accepting",
        ),
        (
            "_sqlx_migrations",
            "version bigint, success boolean",
            "(1, true), (2, false)",
            "1",
            "schema_failed",
        ),
        (
            "_sqlx_migrations",
            "version bigint, success boolean",
            "(1, true), (2, true)",
            "2",
            "accepting",
        ),
        (
            "flyway_schema_history",
            "version text, success boolean",
            "('1.9', true), ('1.10', true), (NULL, true)",
            "1.10",
            "accepting",
        ),
        (
            "flyway_schema_history",
            "version text, success boolean",
            "('1.9', true), ('1.10', true)",
            "1.11",
            "schema_behind",
        ),
        (
            "flyway_schema_history",
            "version text, success boolean",
            "('2.0', true)",
            "2",
            "accepting",
        ),
        (
            "flyway_schema_history",
            "version text, success boolean",
            "('2', true), ('3', false)",
            "2",
            "schema_failed",
        ),
        (
            "goose_db_version",
            "id int, version_id bigint, is_applied boolean",
            "(1, 0, true), (2, 5, true)",
            "5",
            "accepting",
        ),
        (
            "goose_db_version",
            "id int, version_id bigint, is_applied boolean",
            "(1, 0, true), (2, 5, true), (3, 5, false)",
            "5",
            "schema_behind",
        ),
        (
            "__diesel_schema_migrations",
            "version varchar, run_on timestamp",
            "('20230101000000', now())",
            "20230101000000",
            "accepting",
        ),
        (
            "alembic_version",
            "version_num varchar",
            "('ae1027a6acf')",
            "ae1027a6acf",
            "accepting",
        ),
        (
            "alembic_version",
            "version_num varchar",
            "('ae1027a6acf')",
            "it's",
            "schema_behind",
        ),
        (
            "databasechangelog",
            "id varchar, exectype varchar",
            "('add-users', 'EXECUTED')",
            "add-users",
            "accepting",
        ),
        (
            "databasechangelog",
            "id varchar, exectype varchar",
            "('add-users', 'FAILED')",
            "add-users",
            "schema_failed",
        ),
        (
            "databasechangelog",
            "id varchar, exectype varchar",
            "('add-users', 'EXECUTED')",
            "12",
            "schema_behind",
        ),
    ] {
        server.sql(&format!("CREATE TABLE {table} ({columns})"));
        server.sql(&format!("INSERT INTO {table} VALUES {rows}"));
        let check = format!("schema={required}");
        let output = pg_ready(&server, line, &[&check], &[]);
        assert_eq!(
            state(&output),
            expected,
            "{table} {rows} {required}: {}",
            text(&output.stdout)
        );
        server.sql(&format!("DROP TABLE {table}"));
    }
}
