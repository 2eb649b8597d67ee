//! Runs the examples in the documents, and compares their output with the output in the documents.
//!
//! A ```` ```sql ```` block is the standard input of the program. A ```` ```text ```` block directly after it is the
//! output. In a ```` ```console ```` block, a line `$ cargo quick …` or `$ pinsql …` is a command, and
//! the lines after it are its output. The blocks of one document run one after the other, in one folder that has the
//! repository's `examples`, `sql` and `pinsql.toml`. `PINSQL_UPDATE_DOCS=1` writes the current output into the
//! documents.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[test]
fn the_examples_of_the_documents_run() {
    let documents = [
        "README.md",
        "docs/changing.md",
        "docs/databricks.md",
        "docs/functions.md",
        "docs/sql.md",
        "docs/streams.md",
        "docs/upkeep.md",
    ];
    for document in documents {
        let path = repository().join(document);
        let text = std::fs::read_to_string(&path).unwrap();
        let ran = run_document(&text);
        if std::env::var_os("PINSQL_UPDATE_DOCS").is_some() {
            std::fs::write(&path, &ran).unwrap();
        } else {
            similar(document, &text, &ran);
        }
    }
}

fn similar(document: &str, written: &str, ran: &str) {
    for (number, (written, ran)) in written.lines().zip(ran.lines()).enumerate() {
        assert_eq!(written, ran, "{document}, line {}: left is written, right is what the program prints", number + 1);
    }
    assert_eq!(written.lines().count(), ran.lines().count(), "{document}");
}

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the document with the current output of the program.
fn run_document(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    for name in ["examples", "sql"] {
        std::os::unix::fs::symlink(repository().join(name), folder.path().join(name)).unwrap();
    }
    std::fs::copy(repository().join("pinsql.toml"), folder.path().join("pinsql.toml")).unwrap();
    let mut out = String::new();
    let mut lines = text.lines().peekable();
    let mut printed: Option<String> = None;
    while let Some(line) = lines.next() {
        out.push_str(line);
        out.push('\n');
        match line {
            "```sql" => {
                let sql = body(&mut lines);
                out.push_str(&format!("{sql}```\n"));
                printed = Some(run(folder.path(), &[], &sql));
            }
            "```text" => {
                let written = body(&mut lines);
                out.push_str(&printed.take().unwrap_or(written));
                out.push_str("```\n");
            }
            "```console" => {
                for line in body(&mut lines).lines() {
                    let Some(command) = line.strip_prefix("$ ") else { continue };
                    let arguments = command.strip_prefix("cargo quick ").or(command.strip_prefix("pinsql "));
                    let arguments = arguments.unwrap_or_else(|| panic!("`{command}` is not a command of pinsql"));
                    out.push_str(&format!("{line}\n{}", run(folder.path(), &split(arguments), "")));
                }
                out.push_str("```\n");
            }
            "" => {}
            // The output is only compared if it is directly after its block.
            _ => printed = None,
        }
    }
    out
}

/// The lines up to the end of a block.
fn body<'a>(lines: &mut impl Iterator<Item = &'a str>) -> String {
    lines.take_while(|line| *line != "```").map(|line| format!("{line}\n")).collect()
}

/// Splits a command into words like a shell. Supports only what the documents use.
fn split(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for character in command.chars() {
        match (quote, character) {
            (None, '\'' | '"') => quote = Some(character),
            (Some(open), _) if open == character => quote = None,
            (None, ' ') => words.push(String::new()),
            _ => words.last_mut().unwrap().push(character),
        }
    }
    words
}

/// Returns standard output and standard error together, in the order of printing.
fn run(folder: &Path, arguments: &[String], input: &str) -> String {
    let input_path = folder.join(".input.sql");
    std::fs::write(&input_path, input).unwrap();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_pinsql"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .stdin(std::fs::File::open(input_path).unwrap())
        .stdout(Stdio::from(writer.try_clone().unwrap()))
        .stderr(Stdio::from(writer))
        .spawn()
        .unwrap();
    let mut printed = String::new();
    std::io::Read::read_to_string(&mut reader, &mut printed).unwrap();
    child.wait().unwrap();
    // The path of the temporary folder differs in every run.
    printed.replace(&folder.display().to_string(), "…")
}
