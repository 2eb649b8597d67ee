//! A program such as `less` that shows a result a page at a time.

use std::io::{self, Write};
use std::process::{Child, Command, Stdio};

use crate::cli::output::is_broken_pipe;
use pinsql_base::error::{Error, ErrorCode, Result};

/// A pager that is running. What is written to it is shown.
pub(super) struct Pager {
    child: Child,
    command: String,
}

impl Pager {
    /// Starts `command`, as the user's shell understands it.
    pub(super) fn start(command: &str) -> Result<Self> {
        let child = Command::new("sh").arg("-c").arg(command).stdin(Stdio::piped()).spawn().map_err(|error| {
            Error::new(ErrorCode::InvalidConfiguration, format!("the pager `{command}` cannot be started"))
                .caused_by(error)
        })?;
        Ok(Self { child, command: command.to_owned() })
    }

    /// Waits until the user has left it. One that was left before the last row has seen enough.
    pub(super) fn finish(mut self, written: Result<()>) -> Result<()> {
        drop(self.child.stdin.take());
        let failed = |message: String| {
            Error::new(ErrorCode::InvalidConfiguration, message).with_hint(".pager off shows results without it")
        };
        let status = self
            .child
            .wait()
            .map_err(|error| failed(format!("the pager `{}` cannot be waited for", self.command)).caused_by(error))?;
        match written {
            // 126 and 127 are a shell's codes for a command that it cannot run.
            _ if matches!(status.code(), Some(126 | 127)) => {
                Err(failed(format!("the pager `{}` cannot be run", self.command)))
            }
            Err(error) if !is_broken_pipe(&error) => Err(error),
            _ => Ok(()),
        }
    }
}

impl Drop for Pager {
    /// A statement that failed or was interrupted leaves no pager behind.
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // Nothing can be done about a child that is gone already.
        let _ = self.child.wait();
    }
}

impl Write for Pager {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.child.stdin {
            Some(stdin) => stdin.write(bytes),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.child.stdin.as_mut().map_or(Ok(()), Write::flush)
    }
}
