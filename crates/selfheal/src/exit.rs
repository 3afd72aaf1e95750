//! Exit codes of the command line.

use std::process::ExitCode;

/// Outcome of a command. The codes are one table for every subcommand and a contract with scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0: every check passed or was skipped.
    Passed,
    /// 1: a check failed.
    Failed,
    /// 2: the command line is not valid.
    Usage,
    /// 3: the command could not run to its end: no cluster, a rejected request, a port in use.
    Error,
    /// 130: interrupted by Ctrl-C or SIGTERM.
    Interrupted,
}

impl Exit {
    /// Exit code of the process.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Passed => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Error => 3,
            Self::Interrupted => 130,
        }
    }

    /// Returns the outcome to report for two checks. A failed check wins over one that could not run.
    pub(crate) const fn worse(self, other: Self) -> Self {
        if self.severity() >= other.severity() {
            self
        } else {
            other
        }
    }

    const fn severity(self) -> u8 {
        match self {
            Self::Passed => 0,
            Self::Usage => 1,
            Self::Error => 2,
            Self::Failed => 3,
            Self::Interrupted => 4,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::Exit;

    const ALL: [Exit; 5] = [
        Exit::Passed,
        Exit::Usage,
        Exit::Error,
        Exit::Failed,
        Exit::Interrupted,
    ];

    #[test]
    fn exit_codes_are_the_documented_ones() {
        assert_eq!(ALL.map(Exit::code), [0, 2, 3, 1, 130]);
    }

    #[test]
    fn worse_of_two_exits_is_the_later_in_order_of_severity() {
        for (first, worse) in ALL.iter().enumerate() {
            for milder in &ALL[..=first] {
                assert_eq!(worse.worse(*milder), *worse);
                assert_eq!(milder.worse(*worse), *worse);
            }
        }
    }
}
