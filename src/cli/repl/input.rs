//! What was typed: commands, which take one line, and SQL, which goes on to its `;`.
//!
//! The same division decides whether Enter runs what is there or starts another line, so the two never disagree.

use crate::statement::lexeme::{LexemeKind, lexemes};

/// A part of what was typed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// A line that begins with a dot or a back-slash.
    Command(&'a str),
    /// One statement or more, each of them with its `;`.
    Sql(&'a str),
}

/// The pieces of `text`, and whether the last of them is whole: a statement without its `;` is not.
pub(super) fn pieces(text: &str) -> (Vec<Piece<'_>>, bool) {
    let mut pieces = Vec::new();
    let mut rest = text;
    loop {
        let start = rest.trim_start();
        if start.is_empty() {
            return (pieces, true);
        }
        if start.starts_with(['.', '\\']) {
            let (line, after) = start.split_once('\n').unwrap_or((start, ""));
            pieces.push(Piece::Command(line.trim()));
            rest = after;
            continue;
        }
        let (end, is_whole) = statements_end(start);
        // What is nothing but comments is done, and nothing is to be run.
        if end > 0 {
            pieces.push(Piece::Sql(start[..end].trim_end()));
        }
        rest = &start[end..];
        if end == 0 || !is_whole {
            return (pieces, is_whole);
        }
    }
}

/// Where the statements at the start of `text` end: at its end, or at a `;` with a command on a line behind it. And
/// whether the last of them is whole.
fn statements_end(text: &str) -> (usize, bool) {
    let mut is_whole = true;
    let mut says_something = false;
    let mut last_semicolon = None;
    for lexeme in lexemes(text) {
        match lexeme.kind {
            LexemeKind::Semicolon => {
                is_whole = true;
                last_semicolon = Some(lexeme.end);
            }
            LexemeKind::Space | LexemeKind::Comment => {}
            _ => {
                let starts_line = || last_semicolon.is_some_and(|end| text[end..lexeme.start].contains('\n'));
                if is_whole && starts_line() && matches!(lexeme.text(text), "." | "\\") {
                    return (lexeme.start, true);
                }
                says_something = true;
                is_whole = false;
            }
        }
    }
    match (says_something || last_semicolon.is_some(), is_whole) {
        (false, whole) => (0, whole),
        (true, whole) => (text.len(), whole),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Piece::{Command, Sql};

    #[test]
    fn enter_runs_what_is_whole() {
        for (text, whole) in [
            ("", true),
            ("SELECT 1;", true),
            ("SELECT 1", false),
            ("SELECT 1; SELECT 2", false),
            ("SELECT ';", false),
            ("SELECT ';'", false),
            ("SELECT 1 -- ;", false),
            ("SELECT 1; -- and that is it", true),
            ("-- nothing", true),
            ("/* not ended ;", false),
            ("SELECT `a;", false),
            ("CREATE FUNCTION f() RETURN $$ a;", false),
            (".help", true),
            ("\\d pins", true),
            (".mode csv\nSELECT 1", false),
        ] {
            assert_eq!(pieces(text).1, whole, "{text}");
        }
    }

    #[test]
    fn commands_and_statements_are_told_apart() {
        let check = |text: &str, expected: &[Piece<'_>]| assert_eq!(pieces(text).0, expected, "{text}");
        check("SELECT 1;\nSELECT 2;\n", &[Sql("SELECT 1;\nSELECT 2;")]);
        check(".mode csv\nSELECT 1;\n.mode table", &[Command(".mode csv"), Sql("SELECT 1;"), Command(".mode table")]);
        check("SELECT 1\n.5;", &[Sql("SELECT 1\n.5;")]);
        check("-- a comment", &[]);
        check("\\q", &[Command("\\q")]);
    }
}
