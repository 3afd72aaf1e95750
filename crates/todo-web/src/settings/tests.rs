use clap::Parser as _;
use secrecy::ExposeSecret as _;

use super::*;

struct Files {
    _folder: tempfile::TempDir,
    args: Args,
}

fn files(config: &str, secrets: &str) -> Files {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        if !text.is_empty() {
            std::fs::write(&path, text).unwrap();
        }
        path.display().to_string()
    };
    let (config, secrets) = (write("config.json", config), write("secrets.json", secrets));
    let args = Args::parse_from(["todo-web", "--config", &config, "--secrets", &secrets]);
    Files {
        _folder: folder,
        args,
    }
}

fn load(config: &str, secrets: &str, environment: &[(&str, &str)]) -> Result<Settings, String> {
    let files = files(config, secrets);
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let folder = files.args.config.parent().unwrap().display().to_string();
    Settings::load(&files.args, environment).map_err(|error| error.to_string().replace(&folder, ""))
}

const SECRETS: &str = r#"{"ConnectionStrings": {"ToDoDb": "Server=todo-db;Port=5433;Database=todo;User Id=app;Password=p;w=1;"}}"#;

#[test]
fn a_list_that_is_only_read_has_a_way_of_its_own_to_the_database() {
    let secrets = r#"{"ConnectionStrings": {"ToDoDb": "Server=primary;", "ToDoDb-ReadOnly": "Server=standby;"}}"#;
    for (config, host) in [
        (r#"{"Database": {"Provider": "Postgres"}}"#, "primary"),
        (
            r#"{"Database": {"Provider": "Postgres", "ReadOnly": true}}"#,
            "standby",
        ),
    ] {
        let Provider::Postgres(postgres) = load(config, secrets, &[]).unwrap().provider else {
            panic!("{config}");
        };
        assert_eq!(postgres.hosts, [host]);
    }
    let without = r#"{"ConnectionStrings": {"ToDoDb": "Server=primary;", "ToDoDb-ReadOnly": ""}}"#;
    let config = r#"{"Database": {"ReadOnly": true}}"#;
    let Provider::Postgres(postgres) = load(config, without, &[]).unwrap().provider else {
        panic!("no database");
    };
    assert_eq!(postgres.hosts, ["primary"]);
}

#[test]
fn the_originals_files_are_read_as_they_are() {
    let config = r#"{"ConfigController": {"Enabled": true}, "Database": {"Provider": "Postgres", "ReadOnly": "true"}, "BannerMessage": "hi"}"#;
    let secrets = SECRETS.replace("p;w=1", "pw=1");
    let settings = load(config, &secrets, &[]).unwrap();
    let Provider::Postgres(postgres) = settings.provider else {
        panic!("{settings:?}");
    };
    assert_eq!(
        (postgres.hosts, postgres.ports),
        (vec!["todo-db".to_owned()], vec![5433])
    );
    assert_eq!(
        (postgres.database.as_str(), postgres.user.as_str()),
        ("todo", "app")
    );
    assert_eq!(postgres.password.unwrap().expose_secret(), "pw=1");
    assert!(settings.read_only && settings.config_page && settings.metrics);
    assert_eq!(settings.banner.as_deref(), Some("hi"));
}

#[test]
fn without_any_file_it_runs_alone() {
    let settings = load("", "", &[]).unwrap();
    assert!(
        matches!(settings.provider, Provider::Sqlite(path) if path == Path::new("todo-list.db"))
    );
    assert!(!settings.read_only && !settings.config_page && settings.banner.is_none());
}

#[test]
fn the_environment_overrides_the_files_whatever_the_case() {
    let config = r#"{"database:provider": "Postgres", "Metrics": {"Enabled": false}}"#;
    let environment = [
        ("Database__Provider", "Sqlite"),
        ("CONNECTIONSTRINGS__TODODB", "Filename=/data/x.db"),
        ("BannerMessage", "hello"),
    ];
    let settings = load(config, "", &environment).unwrap();
    assert!(matches!(settings.provider, Provider::Sqlite(path) if path == Path::new("/data/x.db")));
    assert_eq!(settings.banner.as_deref(), Some("hello"));
    assert!(!settings.metrics);
}

#[test]
fn what_makes_no_sense_is_named_with_its_file_and_key() {
    let with = |text: &str| {
        SECRETS.replace(
            "Server=todo-db;Port=5433;Database=todo;User Id=app;Password=p;w=1;",
            text,
        )
    };
    for (config, secrets, error) in [
        (
            "[]",
            String::new(),
            "/config.json: it should hold an object",
        ),
        ("{", String::new(), "/config.json: EOF while parsing"),
        (
            r#"{"Database": {"Provider": "Oracle"}}"#,
            String::new(),
            "/config.json: Database:Provider: \"Oracle\" is neither Postgres nor Sqlite",
        ),
        (
            r#"{"Database": {"Provider": "Postgres"}}"#,
            String::new(),
            "/config.json: Database:Provider: Postgres needs ConnectionStrings:ToDoDb",
        ),
        (
            r#"{"Database": {"ReadOnly": "maybe"}}"#,
            String::new(),
            "/config.json: Database:ReadOnly: \"maybe\" is neither true nor false",
        ),
        (
            "",
            SECRETS.to_owned(),
            "/secrets.json: ConnectionStrings:ToDoDb: unknown key \"w\"",
        ),
        (
            "",
            with("Server=a;secret"),
            "/secrets.json: ConnectionStrings:ToDoDb: part 2 has no \"=\"",
        ),
        (
            "",
            with("Server=a;Port=0;"),
            "/secrets.json: ConnectionStrings:ToDoDb: its port is no number",
        ),
        (
            "",
            with("Database=a;"),
            "/secrets.json: ConnectionStrings:ToDoDb: it names no server",
        ),
    ] {
        let found = load(config, &secrets, &[]).unwrap_err();
        assert!(found.starts_with(error), "{found}");
        assert!(
            !found.contains("secret;") && !found.contains("=p"),
            "{found}"
        );
    }
}

#[test]
fn libpqs_forms_are_read_too() {
    for text in [
        "postgres://app:pw@db:5433/todo?sslmode=verify-full",
        "host=db port=5433 user=app password=pw dbname=todo sslmode=verify-full",
    ] {
        let postgres = PostgresSettings::parse(text).unwrap();
        assert_eq!(
            (
                postgres.hosts[0].as_str(),
                postgres.ports[0],
                postgres.user.as_str(),
                postgres.database.as_str()
            ),
            ("db", 5433, "app", "todo")
        );
        assert_eq!(postgres.tls.mode, pg_ready::tls::Mode::VerifyFull);
    }
}

#[test]
fn nothing_that_is_shown_or_printed_is_secret() {
    let config =
        r#"{"Database": {"Provider": "Postgres"}, "Api": {"Token": "hidden", "Url": "seen"}}"#;
    let secrets = r#"{"ConnectionStrings": {"ToDoDb": "Server=db;Password=hidden;"}}"#;
    let settings = load(config, secrets, &[]).unwrap();
    assert!(!format!("{settings:?}").contains("hidden"));
    let shown: Vec<_> = settings
        .shown
        .iter()
        .map(|shown| (shown.key.as_str(), shown.value.as_str()))
        .collect();
    let stars = "********";
    let expected = [
        ("Api:Token", stars),
        ("Api:Url", "seen"),
        ("ConnectionStrings:ToDoDb", stars),
        ("Database:Provider", "Postgres"),
    ];
    assert_eq!(shown, expected);
}
