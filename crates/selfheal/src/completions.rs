//! Completion scripts of shells, and man pages, generated from the definition of the command line.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Command, CommandFactory};
use clap_complete::Shell;

#[derive(Debug, clap::Args)]
pub(crate) struct CompletionsArguments {
    /// Shell that reads the script.
    shell: Shell,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ManArguments {
    /// Directory for the pages; created if it does not exist.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// Prints the completion script for a shell.
pub(crate) fn print<C: CommandFactory>(arguments: &CompletionsArguments) -> io::Result<()> {
    io::stdout().write_all(&script::<C>(arguments.shell))
}

fn script<C: CommandFactory>(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    let mut command = C::command();
    let name = command.get_name().to_owned();
    clap_complete::generate(shell, &mut command, name, &mut script);
    script
}

/// Writes a man page for the program and one for each of its subcommands.
pub(crate) fn write_pages<C: CommandFactory>(arguments: &ManArguments) -> anyhow::Result<()> {
    let dir = &arguments.dir;
    fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
    let mut command = C::command().disable_help_subcommand(true);
    command.build();
    write_page(&command, dir)
}

fn write_page(command: &Command, dir: &Path) -> anyhow::Result<()> {
    let name = command.get_display_name().unwrap_or(command.get_name());
    let path = dir.join(format!("{name}.1"));
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    fs::write(&path, page).with_context(|| format!("writing {}", path.display()))?;
    command
        .get_subcommands()
        .filter(|subcommand| !subcommand.is_hide_set())
        .try_for_each(|subcommand| write_page(subcommand, dir))
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn every_subcommand_has_a_man_page() {
        let dir = tempfile::tempdir().unwrap();
        let arguments = ManArguments {
            dir: dir.path().join("man1"),
        };
        write_pages::<Cli>(&arguments).unwrap();
        let command = Cli::command();
        let pages = command
            .get_subcommands()
            .filter(|subcommand| !subcommand.is_hide_set())
            .map(|subcommand| format!("selfheal-{}.1", subcommand.get_name()));
        let names: Vec<_> = std::iter::once("selfheal.1".to_owned())
            .chain(pages)
            .collect();
        assert!(
            names.contains(&"selfheal-exercise.1".to_owned()),
            "{names:?}"
        );
        for name in &names {
            let page = fs::read_to_string(arguments.dir.join(name)).unwrap();
            assert!(
                page.contains(".TH ") && page.contains("SYNOPSIS"),
                "{name}: {page}"
            );
        }
        let written = fs::read_dir(&arguments.dir).unwrap().count();
        assert_eq!(written, names.len());
    }

    #[test]
    fn completion_scripts_name_every_visible_subcommand() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let text = String::from_utf8(script::<Cli>(shell)).unwrap();
            for subcommand in Cli::command().get_subcommands() {
                let name = subcommand.get_name();
                assert!(
                    subcommand.is_hide_set() || text.contains(name),
                    "{shell}: {name}"
                );
            }
        }
    }

    #[test]
    fn bash_parses_its_completion_script() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&script::<Cli>(Shell::Bash)).unwrap();
        let parsed = std::process::Command::new("bash")
            .arg("-n")
            .arg(file.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&parsed.stderr);
        assert!(parsed.status.success() && errors.is_empty(), "{errors}");
    }
}
