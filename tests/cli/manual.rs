//! Manual pages: one a command, which mandoc finds nothing wrong with, and which say what `--help` says.

use std::process::Command;

use crate::completions::shells;
use crate::scratch::Scratch;

/// Every command has its page, and no other.
const PAGES: [&str; 11] = [
    "pinsql-check.1",
    "pinsql-checkpoint-show.1",
    "pinsql-checkpoint.1",
    "pinsql-completions.1",
    "pinsql-emulate.1",
    "pinsql-gateway.1",
    "pinsql-man.1",
    "pinsql-repl.1",
    "pinsql-run.1",
    "pinsql-stream.1",
    "pinsql.1",
];

/// Unlike man-db, it says what is wrong with a page.
fn mandoc() -> Command {
    Command::new(shells().join("usr/bin/mandoc"))
}

#[test]
fn each_command_has_a_page_and_none_has_a_fault() {
    let scratch = Scratch::new();
    assert_eq!(scratch.run(&["man", "--out", "man/man1"]), "$ pinsql man --out man/man1\n--- exit code 0\n");
    let folder = scratch.path().join("man/man1");
    let mut pages: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    pages.sort();
    assert_eq!(pages, PAGES);
    for page in PAGES {
        // A page that is the same whenever it is made has no date. Breaks beside blank lines are clap's, and change nothing.
        let is_meant = |line: &str| line.contains("missing date") || line.contains("skipping paragraph macro: br");
        let lint = mandoc().args(["-T", "lint", "-W", "warning"]).arg(folder.join(page)).output().unwrap();
        let found = String::from_utf8(lint.stdout).unwrap();
        let faults: Vec<&str> = found.lines().filter(|line| !is_meant(line)).collect();
        assert!(faults.is_empty(), "{faults:#?}");
    }
}

#[test]
fn a_page_says_what_the_help_says_and_more() {
    let scratch = Scratch::new();
    assert!(scratch.run(&["man", "--out", "."]).ends_with("--- exit code 0\n"));
    let page = |name: &str| {
        let output = mandoc().args(["-T", "utf8", "-O", "width=200"]).arg(scratch.path().join(name)).output().unwrap();
        // Bold letters are printed over themselves.
        let text = String::from_utf8(output.stdout).unwrap();
        let mut plain = String::new();
        for letter in text.chars() {
            match letter {
                '\u{8}' => plain.truncate(plain.char_indices().next_back().map_or(0, |(start, _)| start)),
                letter => plain.push(letter),
            }
        }
        plain
    };
    let main = page("pinsql.1");
    for text in [
        "NAME\n",
        "SYNOPSIS\n",
        "--warehouse",
        "PINSQL_WAREHOUSE",
        "EXIT STATUS\n",
        "Interrupted.",
        "pinsql.toml",
        "pinsql-checkpoint(1)",
    ] {
        assert!(main.contains(text), "no {text} in\n{main}");
    }
    let stream = page("pinsql-stream.1");
    for text in [
        "pinsql-stream - Refreshes the streaming tables",
        "pinsql stream",
        "--trigger",
        "--shutdown-timeout",
        "--warehouse",
    ] {
        assert!(stream.contains(text), "no {text} in\n{stream}");
    }
}

#[test]
fn without_a_folder_the_main_page_is_printed() {
    let (scratch, folder) = (Scratch::new(), Scratch::new());
    assert!(folder.run(&["man", "--out", "."]).ends_with("--- exit code 0\n"));
    let written = std::fs::read_to_string(folder.path().join("pinsql.1")).unwrap();
    assert_eq!(scratch.run(&["man"]), format!("$ pinsql man\n--- stdout\n{written}--- exit code 0\n"));
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error() {
    let scratch = Scratch::new();
    scratch.file("taken", "");
    let transcript = scratch.run(&["man", "--out", "taken"]);
    assert!(transcript.contains("error[OUTPUT_FAILURE]: manual pages cannot be written into `taken`"), "{transcript}");
    assert!(transcript.ends_with("--- exit code 3\n"), "{transcript}");
}
