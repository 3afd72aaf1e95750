//! File with the times of runs, so that budgets survive a restart of the sidecar.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::executor::write_atomically;

/// Times of runs by action, in milliseconds since the epoch.
type Runs = BTreeMap<String, Vec<u64>>;

/// State file of actions.
#[derive(Debug)]
pub struct StateFile {
    path: PathBuf,
    runs: Mutex<Runs>,
}

impl StateFile {
    /// Reads a state file. A missing file is empty.
    ///
    /// # Errors
    /// Fails if the file cannot be read or written, or has another format.
    pub fn open(path: &Path) -> io::Result<Self> {
        let runs = match std::fs::read_to_string(path) {
            Ok(text) => serde_json::from_str(&text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Runs::new(),
            Err(error) => return Err(error),
        };
        let file = Self {
            path: path.to_owned(),
            runs: Mutex::new(runs),
        };
        // A budget that cannot be saved must not be found out at the first action.
        file.write()?;
        Ok(file)
    }

    /// Returns the times of runs of an action.
    pub(super) fn runs(&self, action: &str) -> Vec<Duration> {
        let runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        let times = runs.get(action).into_iter().flatten();
        times.copied().map(Duration::from_millis).collect()
    }

    /// Replaces the times of runs of an action.
    pub(super) fn save(&self, action: &str, runs: &[Duration]) -> io::Result<()> {
        let millis = |time: &Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let times = runs.iter().map(millis).collect();
        let mut all = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(action.to_owned(), times);
        drop(all);
        self.write()
    }

    fn write(&self) -> io::Result<()> {
        let runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        let text = serde_json::to_string(&*runs)?;
        drop(runs);
        write_atomically(&self.path, &text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saved_runs_are_read_by_the_next_process() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.json");
        let runs = [Duration::from_millis(5), Duration::from_secs(7)];
        StateFile::open(&path).unwrap().save("a", &runs).unwrap();
        let file = StateFile::open(&path).unwrap();
        assert_eq!(file.runs("a"), runs);
        assert_eq!(file.runs("b"), Vec::<Duration>::new());
    }

    #[test]
    fn unusable_file_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.json");
        std::fs::write(&path, "[").unwrap();
        assert!(StateFile::open(&path).is_err());
        assert!(StateFile::open(&dir.path().join("missing/state.json")).is_err());
    }
}
