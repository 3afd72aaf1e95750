//! Scripts that initialize a new database.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::process::{Command, Stdio};

use test_support::Requirement;

use crate::container::{Container, Db, as_ordinary_user, assert_fails};

#[test]
fn scripts_run_once_in_order_on_a_server_without_network() {
    let Some(container) = Container::new() else {
        return;
    };
    container.script(
        "1-table.sql",
        0o644,
        "create table steps (n serial, step text);",
    );
    container.script(
        "2-run.sh",
        0o755,
        "#!/bin/sh\npg_isready -q -h 127.0.0.1; code=$?\npsql -qc \"insert into steps (step) values ('network $code')\" -U \"$POSTGRES_USER\" -d \"$POSTGRES_DB\"\n",
    );
    container.script(
        "3-read.sh",
        0o644,
        "psql -qc \"insert into steps (step) values ('read')\" -U \"$POSTGRES_USER\" -d \"$POSTGRES_DB\"\n",
    );
    let sql = container.path("scripts").join("4-compressed.sql");
    fs::write(&sql, "insert into steps (step) values ('compressed');").unwrap();
    assert!(Command::new("gzip").arg(&sql).status().unwrap().success());
    container.script("5-notes.txt", 0o644, "text");
    let env = [("POSTGRES_PASSWORD", "p"), ("POSTGRES_DB", "list")];
    let db = container.start(&env);
    let steps = "select string_agg(step, ', ' order by n) from steps";
    let query = || container.psql("postgres", "p", "list", steps).unwrap();
    // 2 is pg_isready's exit code without a response.
    assert_eq!(query(), "network 2, read, compressed");
    db.stop();
    let _again = container.start(&env);
    assert_eq!(query(), "network 2, read, compressed");
}

#[test]
fn failed_script_ends_the_start_and_the_next_start_initializes_again() {
    let Some(container) = Container::new() else {
        return;
    };
    let env = [("POSTGRES_HOST_AUTH_METHOD", "trust")];
    container.script("1.sql", 0o644, "create table once (n int);\nselect broken;");
    let output = container.output(&env);
    assert_fails(&output, &["1.sql", "psql failed"]);

    container.script("1.sql", 0o644, "create table once (n int);");
    let _db = container.start(&env);
    let count = container.psql("postgres", "", "postgres", "select count(*) from once");
    assert_eq!(count.unwrap(), "0");
}

#[test]
fn scripts_receive_values_that_were_given_as_files() {
    let Some(container) = Container::new() else {
        return;
    };
    container.script("1.sh", 0o644, REPORT_VARIABLES);
    container.script("2.sh", 0o755, &format!("#!/bin/sh\n{REPORT_VARIABLES}"));
    let file = |name: &str, text: &str| {
        let path = container.path(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (user, password) = (file("user", "app\n"), file("password", "secret\n"));
    let mut db = Db::spawn(as_ordinary_user(&mut container.server(&[
        ("POSTGRES_USER_FILE", &user),
        ("POSTGRES_PASSWORD_FILE", &password),
    ])));
    for _ in 0..2 {
        let line = db.wait_for_line(&["variables:"]);
        assert_eq!(line, "variables: app secret app secret ");
    }
}

const REPORT_VARIABLES: &str = "echo \"variables: $POSTGRES_USER $POSTGRES_PASSWORD $POSTGRES_DB $PGPASSWORD $POSTGRES_PASSWORD_FILE\" >&2\n";

#[test]
fn unreadable_directory_of_scripts_is_an_error_before_the_initialization() {
    let Some(container) = Container::new() else {
        return;
    };
    if test_support::postgres::ordinary_user().is_none() {
        test_support::skip(Requirement::Root, "the user is not root");
        return;
    }
    container.script("1.sql", 0o644, "select 1;");
    let scripts = container.path("scripts");
    chown(&scripts, Some(0), Some(0)).unwrap();
    fs::set_permissions(&scripts, fs::Permissions::from_mode(0o700)).unwrap();
    let output = container.output(&[("POSTGRES_PASSWORD", "p")]);
    assert_fails(&output, &["directory of scripts", "Permission denied"]);
    assert_eq!(fs::read_dir(container.path("data")).unwrap().count(), 0);
}

#[test]
fn sourced_script_can_use_bash_and_the_functions_of_the_official_image() {
    let Some(container) = Container::new() else {
        return;
    };
    fs::write(
        container.path("more.sql"),
        "insert into steps values ('file');",
    )
    .unwrap();
    fs::write(container.path("value"), "from file").unwrap();
    let script = format!(
        r#"
declare -a names=(one two)
[[ ${{#names[@]}} == 2 ]]
docker_process_sql <<< "create table steps (step text);"
"${{psql[@]}}" -c "insert into steps values ('${{names[1]}}')"
docker_process_init_files {dir}/more.sql
VALUE_FILE={dir}/value
file_env VALUE
docker_process_sql --dbname postgres -c "create table elsewhere as select '$VALUE' as value"
"#,
        dir = container.path("").display()
    );
    container.script("1.sh", 0o644, &script);
    let _db = container.start(&[("POSTGRES_PASSWORD", "p"), ("POSTGRES_DB", "list")]);
    let query = |database, statement| {
        container
            .psql("postgres", "p", database, statement)
            .unwrap()
    };
    let steps = "select string_agg(step, ' ' order by step desc) from steps";
    assert_eq!(query("list", steps), "two file");
    assert_eq!(
        query("postgres", "select value from elsewhere"),
        "from file"
    );
}

#[test]
fn failed_command_of_a_sourced_script_ends_the_start() {
    let Some(container) = Container::new() else {
        return;
    };
    container.script("1.sh", 0o644, "false | true\necho unreachable >&2\n");
    let output = container.output(&[("POSTGRES_PASSWORD", "p")]);
    assert_fails(&output, &["bash failed"]);
    assert!(!String::from_utf8_lossy(&output.stderr).contains("unreachable"));
}

/// Programs that the entrypoint finds without bash.
#[test]
fn bash_script_without_bash_is_an_error_that_names_the_script() {
    let Some(container) = Container::new() else {
        return;
    };
    let tools = container.path("tools");
    fs::create_dir(&tools).unwrap();
    symlink("/bin/sh", tools.join("sh")).unwrap();
    let path = format!("{}:{}", container.bin.display(), tools.display());
    let env = [("POSTGRES_PASSWORD", "p"), ("PATH", path.as_str())];
    container.script("1.sh", 0o644, "#!/bin/bash\ntrue\n");
    assert_fails(&container.output(&env), &["1.sh", "bash is not installed"]);
    container.script("1.sh", 0o644, "declare -a names\n");
    assert_fails(
        &container.output(&env),
        &["1.sh was run by sh", "install bash"],
    );
    container.script("1.sh", 0o644, "docker_process_sql -c 'select 1'\n");
    let _db = container.start(&env);
}

#[test]
fn script_that_the_servers_user_cannot_execute_is_sourced() {
    let Some(container) = Container::new() else {
        return;
    };
    if test_support::postgres::ordinary_user().is_none() {
        test_support::skip(Requirement::Root, "the user is not root");
        return;
    }
    container.script("1.sh", 0o744, "echo sourced >&2\n");
    container.script("._2.sql", 0o644, "not a statement");
    let db = container.start(&[("POSTGRES_PASSWORD", "p")]);
    assert!(db.log.iter().any(|line| line == "sourced"), "{:?}", db.log);
}

#[test]
fn script_on_a_file_system_without_execution_is_sourced() {
    let Some(container) = Container::new() else {
        return;
    };
    let scripts = container.path("scripts");
    let mount = r#"mount --bind "$0" "$0" && mount -o remount,bind,noexec "$0""#;
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "sh", "-c"]);
    let mut probe = Command::new("unshare");
    probe.args(["--mount", "sh", "-c", mount]).arg(&scripts);
    if !probe
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
    {
        test_support::skip(Requirement::Root, "mounts are not allowed");
        return;
    }
    container.script("1.sh", 0o755, "echo sourced >&2\n");
    let server = container.server(&[("POSTGRES_PASSWORD", "p")]);
    unshare
        .arg(format!(r#"{mount} && exec "$@""#))
        .arg(&scripts);
    let db = Db::start(container.wrap(&server, &mut unshare));
    assert!(db.log.iter().any(|line| line == "sourced"), "{:?}", db.log);
}
