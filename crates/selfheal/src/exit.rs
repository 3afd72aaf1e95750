//! What the command's exit code says.

use std::process::ExitCode;

/// How the command ended. The numbers are a contract with scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Every claim held.
    Held,
    /// A claim did not hold, or a step did not come true in its time.
    Failed,
    /// The command line makes no sense.
    Usage,
    /// The exercise could not be carried to its end: no cluster, a refused request, an interrupt.
    NotRun,
}

impl Exit {
    /// The number a shell sees.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Held => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotRun => 3,
        }
    }

    /// The one to report when two things ended so: the greater code is the graver.
    pub(crate) fn worse(self, other: Self) -> Self {
        if self.code() >= other.code() {
            self
        } else {
            other
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

    #[test]
    fn the_codes_are_the_documented_ones() {
        let codes = [Exit::Held, Exit::Failed, Exit::Usage, Exit::NotRun].map(Exit::code);
        assert_eq!(codes, [0, 1, 2, 3]);
    }

    #[test]
    fn the_graver_of_two_ends_is_reported() {
        assert_eq!(Exit::Held.worse(Exit::Failed), Exit::Failed);
        assert_eq!(Exit::NotRun.worse(Exit::Failed), Exit::NotRun);
    }
}
