//! `pinsql man`: the manual pages, made from the same words as `--help`.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::output::{Output, stdout_error};
use pinsql_base::error::{Error, ErrorCode, Result};

/// What a program that calls pinsql has to know, and `--help` does not say.
const EXIT_CODES: [(&str, &str); 6] = [
    ("0", "Done."),
    ("1", "The SQL, the data or the settings are at fault."),
    ("2", "The command line is at fault."),
    ("3", "A service or the disk kept failing."),
    ("70", "A fault of pinsql."),
    ("130", "Interrupted."),
];

const FILES: [(&str, &str); 1] = [(
    "pinsql.toml",
    "Settings, in the folder where pinsql is called, or where --config says. Environment variables go over it, and flags over those.",
)];

/// Prints the page of the program itself, or writes those of all commands into `folder`: `pinsql.1`, `pinsql-run.1` and so on.
pub(super) fn man(folder: Option<&Path>, mut command: Command, output: Output) -> Result<()> {
    command.build();
    let Some(folder) = folder else {
        let page = page(&command).map_err(|error| Error::internal("a manual page cannot be made").caused_by(error))?;
        let mut data = output.data();
        return data.write_all(&page).and_then(|()| data.flush()).map_err(stdout_error);
    };
    fs::create_dir_all(folder).and_then(|()| write_pages(&command, folder)).map_err(|error| {
        Error::new(ErrorCode::OutputFailure, format!("manual pages cannot be written into `{}`", folder.display()))
            .caused_by(error)
    })
}

/// Writes the page of `command`, and those of the commands below it.
fn write_pages(command: &Command, folder: &Path) -> io::Result<()> {
    fs::write(folder.join(format!("{}.1", page_name(command))), page(command)?)?;
    command.get_subcommands().filter(|below| !below.is_hide_set()).try_for_each(|below| write_pages(below, folder))
}

/// `pinsql-checkpoint-show`, as the command is called with the spaces between its words.
fn page_name(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

fn page(command: &Command) -> io::Result<Vec<u8>> {
    let man = Man::new(command.clone());
    let mut text = Vec::new();
    // The title is our own, since clap's would take the version for the date that it is not given; a page that is the same
    // whenever it is made has none. Clap's last section, the version's long form, is left out.
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
