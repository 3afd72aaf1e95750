//! Linux namespaces that `unshare` creates for a test.

use std::process::Command;

/// Command line that runs a program as the first process of a PID namespace, as root or in a user namespace.
///
/// # Errors
/// Message of `unshare`, if neither way is allowed.
pub fn first_process() -> Result<Vec<&'static str>, String> {
    let mut reason = String::new();
    for user in [&[][..], &["--user", "--map-root-user"]] {
        let own = ["--pid", "--mount-proc", "--fork", "--kill-child"];
        let command = [&["unshare"], user, &own].concat();
        match Command::new(command[0])
            .args(&command[1..])
            .arg("true")
            .output()
        {
            Ok(output) if output.status.success() => return Ok(command),
            Ok(output) => reason = String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            Err(error) => reason = format!("unshare: {error}"),
        }
    }
    Err(reason)
}
