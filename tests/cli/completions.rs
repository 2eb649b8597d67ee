//! Completions in real shells. Each shell loads the script as in `docs/install.md`. The tests check the result of Tab.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::scratch::Scratch;
use crate::terminal::Terminal;

/// Debian's zsh, fish and mandoc, unpacked.
pub(crate) fn shells() -> PathBuf {
    let Some(folder) = std::env::var_os("PINSQL_TEST_SHELLS") else {
        panic!("PINSQL_TEST_SHELLS is not set: ./test installs the shells")
    };
    PathBuf::from(folder)
}

/// The library folder below `root`. Its name depends on the architecture.
fn libraries(root: &Path) -> PathBuf {
    root.join(format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH))
}

/// Writes the completions for `shell` into `file` of the scratch folder.
fn write_completions(scratch: &Scratch, shell: &str, file: &str) {
    let output = Command::new(env!("CARGO_BIN_EXE_pinsql")).args(["completions", shell]).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    scratch.file(file, output.stdout);
}

fn printed_by(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{}: {errors}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// The completions of bash for the last of `words`, sorted and without duplicates.
fn offered_by_bash(words: &[&str]) -> Vec<String> {
    let scratch = Scratch::new();
    write_completions(&scratch, "bash", "pinsql.bash");
    // The same as bash does for Tab: it calls the registered function with the words of the line.
    let script = r#"
        source pinsql.bash
        complete -p pinsql | grep --quiet -- '-F _pinsql' || { echo 'nothing is registered' >&2; exit 1; }
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*" COMP_POINT=${#COMP_LINE}
        compopt() { :; }
        _pinsql pinsql "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", script, "bash"]).args(words).current_dir(scratch.path());
    let mut offered: Vec<String> = printed_by(&mut bash).lines().map(str::to_owned).collect();
    offered.sort();
    offered
}

#[test]
fn bash_completes_commands_flags_and_values() {
    assert_eq!(offered_by_bash(&["pinsql", "che"]), ["check", "checkpoint"]);
    assert_eq!(offered_by_bash(&["pinsql", "checkpoint", "s"]), ["show"]);
    assert_eq!(offered_by_bash(&["pinsql", "--ware"]), ["--warehouse"]);
    // After a command, its own flags and the flags of all commands are completed.
    assert_eq!(offered_by_bash(&["pinsql", "run", "--max"]), ["--max-rejects"]);
    assert_eq!(offered_by_bash(&["pinsql", "stream", "--trig"]), ["--trigger"]);
    assert_eq!(offered_by_bash(&["pinsql", "run", "--trig"]), [""]);
    let formats = ["csv", "json", "line", "markdown", "ndjson", "table", "tsv"];
    assert_eq!(offered_by_bash(&["pinsql", "run", "--format", ""]), formats);
    assert_eq!(offered_by_bash(&["pinsql", "completions", ""]).join(" "), completions_words());
}

/// If nothing is typed yet, clap completes values and flags: all flags that `--help` shows.
fn completions_words() -> String {
    let help = printed_by(Command::new(env!("CARGO_BIN_EXE_pinsql")).args(["completions", "--help"]));
    let flags = help.split_whitespace().map(|word| word.trim_matches(|c: char| ",[]".contains(c)));
    let is_flag = |word: &&str| word.starts_with('-') && word.len() > 1 && !word.contains('>');
    let mut words: Vec<&str> = flags.filter(is_flag).chain(["bash", "fish", "zsh"]).collect();
    words.sort_unstable();
    words.dedup();
    words.join(" ")
}

/// The completions of fish at the end of `line`, without descriptions.
fn offered_by_fish(line: &str) -> Vec<String> {
    let (scratch, root) = (Scratch::new(), shells());
    write_completions(&scratch, "fish", "pinsql.fish");
    let script = format!(
        "set --prepend fish_function_path {}; source pinsql.fish; complete --do-complete '{line}'",
        root.join("usr/share/fish/functions").display()
    );
    let mut fish = Command::new(root.join("usr/bin/fish"));
    fish.args(["--no-config", "--command", &script])
        .current_dir(scratch.path())
        .env("HOME", scratch.path())
        .env("LD_LIBRARY_PATH", libraries(&root));
    let text = printed_by(&mut fish);
    text.lines().map(|line| line.split('\t').next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn fish_completes_commands_flags_and_values() {
    assert_eq!(offered_by_fish("pinsql che"), ["check", "checkpoint"]);
    assert_eq!(offered_by_fish("pinsql checkpoint s"), ["show"]);
    assert_eq!(offered_by_fish("pinsql run --max"), ["--max-rejects"]);
    assert_eq!(offered_by_fish("pinsql stream --trig"), ["--trigger"]);
    assert_eq!(offered_by_fish("pinsql run --format nd"), ["ndjson"]);
}

#[test]
fn zsh_completes_commands_flags_and_values() {
    let (scratch, root) = (Scratch::new(), shells());
    write_completions(&scratch, "zsh", "functions/_pinsql");
    let functions = root.join("usr/share/zsh/functions");
    let places = format!(
        "module_path=({}/zsh/5.9)\nfpath=(~/functions {functions}/{{,Completion/,Completion/*/,Misc/}}(N/))\n",
        libraries(&root).display(),
        functions = functions.display()
    );
    scratch.file(".zshenv", places);
    scratch.file(".zshrc", "autoload -U compinit\ncompinit -u -D\nPROMPT='ready> '\n");
    let terminal = Terminal::of(root.join("bin/zsh"), &scratch, &["-i"], &[], (40, 100));
    terminal.wait_for("ready>");
    // A single completion is inserted. Several completions are listed below the line.
    terminal.press("pinsql --ware\t");
    terminal.wait_for("pinsql --warehouse");
    terminal.press("\u{15}pinsql chec\t\t");
    terminal.wait_until("list of commands", |screen| {
        screen.lines().any(|line| line.starts_with("check "))
            && screen.lines().any(|line| line.starts_with("checkpoint "))
    });
    terminal.press("\u{15}pinsql checkpoint s\t");
    terminal.wait_for("pinsql checkpoint show");
    terminal.press("\u{15}pinsql run --format nd\t");
    terminal.wait_for("pinsql run --format ndjson");
}

#[test]
fn other_shells_are_an_error() {
    let transcript = Scratch::new().run(&["completions", "tcsh"]);
    assert!(
        transcript.contains("invalid value 'tcsh'") && transcript.contains("[possible values: bash, zsh, fish]"),
        "{transcript}"
    );
    assert!(transcript.ends_with("--- exit code 2\n"), "{transcript}");
}
