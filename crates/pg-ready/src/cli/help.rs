//! `--help`.

pub(super) fn text(program: &str, beyond: bool) -> String {
    let (more, usage) = if beyond {
        (BEYOND.replace("{program}", program), " [-- COMMAND...]")
    } else {
        (String::new(), "")
    };
    format!(
        "{program} asks whether a PostgreSQL server accepts connections.

Usage:
  {program} [OPTION]...{usage}

Options:
  -d, --dbname=DBNAME      database name, or a connection string or URI
  -h, --host=HOSTNAME      database server host or socket directory
  -p, --port=PORT          database server port
  -q, --quiet              run quietly
  -t, --timeout=SECS       seconds to wait for each server, 0 for ever (default: 3, least: 2)
  -U, --username=USERNAME  role named to the server
  -V, --version            output version information, then exit
  -?, --help               show this help, then exit
{more}
Exit codes:
  0  the server accepts connections{}
  1  the server rejects connections: {}
  2  no response
  3  no attempt was made: the options make no sense
",
        if beyond {
            " and passes every check"
        } else {
            ""
        },
        if beyond {
            "it is starting or stopping, or a check failed"
        } else {
            "it is starting or stopping"
        },
    )
}

const BEYOND: &str = "
Beyond pg_isready:
      --check=CHECK[,...]  log in and ask for more; may be repeated:
                             login          this role may enter this database
                             query=SQL      the statement succeeds; its first value is not null or false
                             write          a write reaches the server's log
                             primary        it is no standby
                             standby        it is one
                             lag=DURATION   it is at most so far behind its primary
                             schema=N       the newest migration is at least N
      --wait=DURATION      ask again until the server is ready, at most so long (30s, 2m)
      --output=text|json   how to say what was found (default: text)
      --password-file=FILE the password is the first line of FILE; else PGPASSWORD, PGPASSFILE, ~/.pgpass
  -- COMMAND...            run COMMAND in place of {program} once the server is ready; its exit code counts then
                           (126: it cannot be run, 127: there is none)

With any of these, --timeout is the limit of a whole attempt and takes units, such as 500ms.
";
