use super::options::OptionSet;

/// Returns the text of `--help`.
pub(super) fn help_text(program: &str, option_set: OptionSet) -> String {
    let (usage, options, accepts, rejects) = match option_set {
        OptionSet::PgIsready => (
            "",
            String::new(),
            "the server accepts connections",
            "the server rejects connections: it is starting or stopping",
        ),
        OptionSet::Extended => (
            " [-- COMMAND...]",
            EXTENDED_OPTIONS.replace("{program}", program),
            "the server accepts connections and passes every check",
            "the server rejects connections: it is starting or stopping, or a check failed",
        ),
    };
    format!(
        "{program} checks whether a PostgreSQL server accepts connections.

Usage:
  {program} [OPTION]...{usage}

Options:
  -d, --dbname=DBNAME      database name, connection string or URI
  -h, --host=HOSTNAME      database server host or socket directory
  -p, --port=PORT          database server port
  -q, --quiet              run quietly
  -t, --timeout=SECS       timeout for each server, 0 for none (default: 3, minimum: 2)
  -U, --username=USERNAME  role to connect as
  -V, --version            output version information, then exit
  -?, --help               show this help, then exit
{options}
Exit codes:
  0  {accepts}
  1  {rejects}
  2  no response
  3  no attempt was made: invalid options or settings
"
    )
}

const EXTENDED_OPTIONS: &str = "
Extensions to pg_isready:
      --check=CHECK[,...]  log in and run checks; may be repeated:
                             login          the role can log in to the database
                             through-pooler the server behind a connection pooler executes a statement
                             query=SQL      the statement succeeds; its first value is not null or false
                             write          a message is committed to the write-ahead log
                             primary        the server is a primary
                             standby        the server is a standby
                             lag=DURATION   the replication lag is at most DURATION
                             schema=VERSION no migration failed, and VERSION is applied
      --alive              succeed also if the server is starting, stopping or in recovery
      --wait=DURATION      retry until the server is ready, for at most DURATION (30s, 2m)
      --output=text|json   output format (default: text)
      --password-file=FILE read the password from the first line of FILE
                           (default: PGPASSWORD, PGPASSFILE, ~/.pgpass)
  -- COMMAND...            replace {program} by COMMAND once the server is ready; the exit code is that of COMMAND
                           (126: COMMAND cannot be executed, 127: COMMAND is not found)

With any of these, --timeout limits a whole attempt and accepts units, such as 500ms.
";
