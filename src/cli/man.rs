//! `pinsql man`: the manual pages. They have the same texts as `--help`.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::output::{Output, stdout_error};
use pinsql_base::error::{Error, ErrorCode, Result};

/// The exit codes. `--help` does not have them.
const EXIT_CODES: [(&str, &str); 6] = [
    ("0", "Done."),
    ("1", "An error in the SQL, the data or the settings."),
    ("2", "An error in the command line."),
    ("3", "A service or a disk failed, and retries did not help."),
    ("70", "An internal error of pinsql."),
    ("130", "Interrupted."),
];

const FILES: [(&str, &str); 1] = [(
    "pinsql.toml",
    "Settings, in the current folder or at the path of --config. Environment variables override it, and flags override both.",
)];

/// Prints the page of pinsql itself, or writes the pages of all commands into `folder`: `pinsql.1`, `pinsql-run.1` and so on.
pub(super) fn man(folder: Option<&Path>, mut command: Command, output: Output) -> Result<()> {
    command.build();
    let Some(folder) = folder else {
        let page =
            page(&command).map_err(|error| Error::internal("a manual page cannot be rendered").caused_by(error))?;
        let mut data = output.data();
        return data.write_all(&page).and_then(|()| data.flush()).map_err(stdout_error);
    };
    fs::create_dir_all(folder).and_then(|()| write_pages(&command, folder)).map_err(|error| {
        Error::new(ErrorCode::OutputFailure, format!("manual pages cannot be written into `{}`", folder.display()))
            .caused_by(error)
    })
}

/// Writes the pages of `command` and its subcommands.
fn write_pages(command: &Command, folder: &Path) -> io::Result<()> {
    fs::write(folder.join(format!("{}.1", page_name(command))), page(command)?)?;
    command.get_subcommands().filter(|below| !below.is_hide_set()).try_for_each(|below| write_pages(below, folder))
}

/// The name of the page, such as `pinsql-checkpoint-show`.
fn page_name(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

fn page(command: &Command) -> io::Result<Vec<u8>> {
    let man = Man::new(command.clone());
    let mut text = Vec::new();
    // The title is written here without a date, so that the page is reproducible. clap_mangen would put the version into the
    // place of the date. Its last section, the long version, is left out.
    let version = env!("CARGO_PKG_VERSION");
    writeln!(text, ".TH {} 1 \"\" \"pinsql {version}\" \"Manual of pinsql\"", page_name(command))?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut text)?;
    }
    let mut roff = Roff::new();
    listed(&mut roff, "EXIT STATUS", &EXIT_CODES);
    listed(&mut roff, "FILES", &FILES);
    roff.to_writer(&mut text)?;
    Ok(text)
}

fn listed(roff: &mut Roff, title: &str, entries: &[(&str, &str)]) {
    roff.control("SH", [title]);
    for (term, text) in entries {
        roff.control("TP", []);
        roff.text([bold(*term)]);
        roff.text([roman(*text)]);
    }
}
