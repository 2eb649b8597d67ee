//! Manual pages: each command has one, mandoc finds no fault in it, and it has the content of `--help`.

use std::process::Command;

use crate::completions::shells;
use crate::scratch::Scratch;

/// All pages: one for each command.
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

/// mandoc reports faults in a page. man-db does not.
fn mandoc() -> Command {
    Command::new(shells().join("usr/bin/mandoc"))
}

#[test]
fn each_command_has_a_page_without_faults() {
    let scratch = Scratch::new();
    assert_eq!(scratch.run(&["man", "--out", "man/man1"]), "$ pinsql man --out man/man1\n--- exit code 0\n");
    let folder = scratch.path().join("man/man1");
    let mut pages: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    pages.sort();
    assert_eq!(pages, PAGES);
    for page in PAGES {
        // Pages have no date, so that the same program makes the same pages. clap writes breaks next to blank lines,
        // which change nothing.
        let is_meant = |line: &str| line.contains("missing date") || line.contains("skipping paragraph macro: br");
        let lint = mandoc().args(["-T", "lint", "-W", "warning"]).arg(folder.join(page)).output().unwrap();
        let found = String::from_utf8(lint.stdout).unwrap();
        let faults: Vec<&str> = found.lines().filter(|line| !is_meant(line)).collect();
        assert!(faults.is_empty(), "{faults:#?}");
    }
}

#[test]
fn a_page_has_the_content_of_the_help_and_more() {
    let scratch = Scratch::new();
    assert!(scratch.run(&["man", "--out", "."]).ends_with("--- exit code 0\n"));
    let page = |name: &str| {
        let output = mandoc().args(["-T", "utf8", "-O", "width=200"]).arg(scratch.path().join(name)).output().unwrap();
        // Bold letters are printed twice, with a backspace between.
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
fn a_folder_that_cannot_be_created_is_an_error() {
    let scratch = Scratch::new();
    scratch.file("taken", "");
    let transcript = scratch.run(&["man", "--out", "taken"]);
    assert!(transcript.contains("error[OUTPUT_FAILURE]: manual pages cannot be written into `taken`"), "{transcript}");
    assert!(transcript.ends_with("--- exit code 3\n"), "{transcript}");
}
