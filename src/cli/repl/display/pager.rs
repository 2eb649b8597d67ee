//! A pager such as `less`, which shows a result page by page.

use std::io::{self, Write};
use std::process::{Child, Command, Stdio};

use crate::cli::output::is_broken_pipe;
use pinsql_base::error::{Error, ErrorCode, Result};

/// A running pager. It shows the text that is written to it.
pub(super) struct Pager {
    child: Child,
    command: String,
}

impl Pager {
    /// Starts `command` in `sh`.
    pub(super) fn start(command: &str) -> Result<Self> {
        let child = Command::new("sh").arg("-c").arg(command).stdin(Stdio::piped()).spawn().map_err(|error| {
            Error::new(ErrorCode::InvalidConfiguration, format!("the pager `{command}` cannot be started"))
                .caused_by(error)
        })?;
        Ok(Self { child, command: command.to_owned() })
    }

    /// Waits until the user quits it. Quitting before the last row is not an error.
    pub(super) fn finish(mut self, written: Result<()>) -> Result<()> {
        drop(self.child.stdin.take());
        let failed = |message: String| {
            Error::new(ErrorCode::InvalidConfiguration, message).with_hint(".pager off shows results without a pager")
        };
        let status = self
            .child
            .wait()
            .map_err(|error| failed(format!("the pager `{}` cannot be waited for", self.command)).caused_by(error))?;
        match written {
            // A shell ends with 126 or 127 if it cannot run the command.
            _ if matches!(status.code(), Some(126 | 127)) => {
                Err(failed(format!("the pager `{}` cannot be run", self.command)))
            }
            Err(error) if !is_broken_pipe(&error) => Err(error),
            _ => Ok(()),
        }
    }
}

impl Drop for Pager {
    /// Stops the pager after a statement that failed or was interrupted.
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // If the process has already ended, there is nothing to do.
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
