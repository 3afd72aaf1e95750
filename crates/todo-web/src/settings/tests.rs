use clap::Parser as _;
use secrecy::ExposeSecret as _;

use super::*;

struct Files {
    _dir: tempfile::TempDir,
    args: Args,
}

fn files(config: &str, secrets: &str) -> Files {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        if !text.is_empty() {
            std::fs::write(&path, text).unwrap();
        }
        path.display().to_string()
    };
    let (config, secrets) = (write("config.json", config), write("secrets.json", secrets));
    let args = Args::parse_from(["todo-web", "--config", &config, "--secrets", &secrets]);
    Files { _dir: dir, args }
}

fn load(config: &str, secrets: &str, environment: &[(&str, &str)]) -> Result<Settings, String> {
    let files = files(config, secrets);
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let dir = files.args.config.parent().unwrap().display().to_string();
    Settings::load(&files.args, environment).map_err(|error| error.to_string().replace(&dir, ""))
}

const SECRETS: &str = r#"{"ConnectionStrings": {"ToDoDb": "Server=todo-db;Port=5433;Database=todo;User Id=app;Password=p;w=1;"}}"#;

#[test]
fn read_only_list_can_have_a_connection_string_of_its_own() {
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
fn files_of_the_original_are_accepted() {
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
fn service_without_files_uses_sqlite() {
    let settings = load("", "", &[]).unwrap();
    assert!(
        matches!(settings.provider, Provider::Sqlite(path) if path == Path::new("todo-list.db"))
    );
    assert!(!settings.read_only && !settings.config_page && settings.banner.is_none());
}

#[test]
fn environment_overrides_the_files_in_any_case() {
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
fn invalid_setting_is_named_with_its_file_and_key() {
    let with = |text: &str| {
        SECRETS.replace(
            "Server=todo-db;Port=5433;Database=todo;User Id=app;Password=p;w=1;",
            text,
        )
    };
    for (config, secrets, error) in [
        ("[]", String::new(), "/config.json: expected an object"),
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
            "/secrets.json: ConnectionStrings:ToDoDb: invalid port",
        ),
        (
            "",
            with("Database=a;"),
            "/secrets.json: ConnectionStrings:ToDoDb: no server",
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
fn connection_strings_of_libpq_are_accepted() {
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
fn displayed_and_printed_settings_have_no_secret() {
    let config =
        r#"{"Database": {"Provider": "Postgres"}, "Api": {"Token": "hidden", "Url": "seen"}}"#;
    let secrets = r#"{"ConnectionStrings": {"ToDoDb": "Server=db;Password=hidden;"}}"#;
    let settings = load(config, secrets, &[]).unwrap();
    assert!(!format!("{settings:?}").contains("hidden"));
    let displayed: Vec<_> = settings
        .displayed
        .iter()
        .map(|setting| (setting.key.as_str(), setting.value.as_str()))
        .collect();
    let stars = "********";
    let expected = [
        ("Api:Token", stars),
        ("Api:Url", "seen"),
        ("ConnectionStrings:ToDoDb", stars),
        ("Database:Provider", "Postgres"),
    ];
    assert_eq!(displayed, expected);
}
