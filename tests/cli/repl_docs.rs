//! Types the sessions in `docs/shell.md` into a terminal, and compares the screen with the page.
//!
//! In a ```` ```session ```` block, the lines with a prompt are typed, and the other lines are the output. All blocks
//! of the page are one session, in a folder that has the repository's `examples`. `PINSQL_UPDATE_DOCS=1` writes the
//! current output into the page.

use std::path::PathBuf;

use crate::scratch::Scratch;
use crate::terminal::Terminal;

const PROMPT: &str = "pinsql> ";
const MORE: &str = "   ...> ";

#[test]
fn the_sessions_of_the_page_match_the_shell() {
    let repository = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let page = repository.join("docs/shell.md");
    let text = std::fs::read_to_string(&page).unwrap();
    let scratch = Scratch::new();
    std::os::unix::fs::symlink(repository.join("examples"), scratch.path().join("examples")).unwrap();
    let terminal = Terminal::start_in(&scratch, &[], &[], (400, 100));
    terminal.wait_for(PROMPT.trim_end());
    let shown = replay(&terminal, &text);
    if std::env::var_os("PINSQL_UPDATE_DOCS").is_some() {
        std::fs::write(&page, shown).unwrap();
    } else {
        assert_eq!(shown, text, "left is what the shell shows, right is what is written");
    }
}

/// Returns the page with the sessions as the terminal shows them now.
fn replay(terminal: &Terminal, text: &str) -> String {
    let mut page = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        page.push_str(&format!("{line}\n"));
        if line == "```session" {
            let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            page.push_str(&session(terminal, &block));
            page.push_str("```\n");
        }
    }
    page
}

/// Types the lines of one block. Returns the screen from its first prompt to the prompt after its last line.
fn session(terminal: &Terminal, block: &[&str]) -> String {
    let before = terminal.wait_for_prompts(1).trim_end().lines().count() - 1;
    let typed: Vec<&str> =
        block.iter().copied().filter(|line| line.starts_with(PROMPT) || line.starts_with(MORE)).collect();
    let mut screen = String::new();
    for (position, line) in typed.iter().enumerate() {
        let keys = line.strip_prefix(PROMPT).or(line.strip_prefix(MORE)).unwrap();
        match typed.get(position + 1) {
            Some(next) if next.starts_with(MORE) => {
                terminal.line(keys);
                terminal.wait_until("line to go on", |screen| screen.trim_end().ends_with(MORE.trim_end()));
            }
            // The screen that `run` returns ends with a prompt. Later the editor may be drawing the prompt again.
            _ => screen = terminal.run(keys),
        }
    }
    let seen: Vec<&str> = screen.trim_end().lines().skip(before).collect();
    let seen = &seen[..seen.len() - 1];
    seen.iter().map(|line| format!("{line}\n")).collect()
}
