//! `pinsql completions`: what teaches a shell to complete commands and flags.

use std::io::Write;

use clap::{Command, ValueEnum};
use clap_complete::generate;
use clap_complete::shells::{Bash, Fish, Zsh};

use super::output::{Output, stdout_error};
use pinsql_base::error::Result;

/// The shells that are tried in the tests. clap knows others, which nobody has tried here.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// Prints the script that `shell` reads.
pub(super) fn completions(shell: Shell, mut command: Command, output: Output) -> Result<()> {
    // clap's generators panic where they cannot write, as into a pipe that was closed; into memory they always can.
    let mut script = Vec::new();
    match shell {
        Shell::Bash => generate(Bash, &mut command, "pinsql", &mut script),
        Shell::Zsh => generate(Zsh, &mut command, "pinsql", &mut script),
        Shell::Fish => generate(Fish, &mut command, "pinsql", &mut script),
    }
    let mut data = output.data();
    data.write_all(&script).and_then(|()| data.flush()).map_err(stdout_error)
}
