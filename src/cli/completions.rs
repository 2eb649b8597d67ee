//! `pinsql completions`: scripts that make a shell complete commands and flags.

use std::io::Write;

use clap::{Command, ValueEnum};
use clap_complete::generate;
use clap_complete::shells::{Bash, Fish, Zsh};

use super::output::{Output, stdout_error};
use pinsql_base::error::Result;

/// The shells that the tests cover. clap supports more.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// Prints the script for `shell`.
pub(super) fn completions(shell: Shell, mut command: Command, output: Output) -> Result<()> {
    // clap's generators panic if a write fails, for example to a closed pipe. Writes to memory do not fail.
    let mut script = Vec::new();
    match shell {
        Shell::Bash => generate(Bash, &mut command, "pinsql", &mut script),
        Shell::Zsh => generate(Zsh, &mut command, "pinsql", &mut script),
        Shell::Fish => generate(Fish, &mut command, "pinsql", &mut script),
    }
    let mut data = output.data();
    data.write_all(&script).and_then(|()| data.flush()).map_err(stdout_error)
}
