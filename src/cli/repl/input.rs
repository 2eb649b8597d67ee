//! Splits the input into commands of one line, and SQL up to its `;`.
//!
//! The same rule decides whether Enter runs the input or starts another line, so the two always agree.

use crate::statement::lexeme::{LexemeKind, lexemes};

/// A part of the input.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// A line that begins with a dot or a back-slash.
    Command(&'a str),
    /// One or more statements, each with its `;`.
    Sql(&'a str),
}

/// The pieces of `text`, and whether the last one is complete: a statement without its `;` is not.
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
        let (end, is_complete) = statements_end(start);
        // Text with only comments is complete, and there is nothing to run.
        if end > 0 {
            pieces.push(Piece::Sql(start[..end].trim_end()));
        }
        rest = &start[end..];
        if end == 0 || !is_complete {
            return (pieces, is_complete);
        }
    }
}

/// The end of the statements at the start of `text`: the end of the text, or a `;` that is followed by a line with a command.
/// Also whether the last statement is complete.
fn statements_end(text: &str) -> (usize, bool) {
    let mut is_complete = true;
    let mut has_content = false;
    let mut last_semicolon = None;
    for lexeme in lexemes(text) {
        match lexeme.kind {
            LexemeKind::Semicolon => {
                is_complete = true;
                last_semicolon = Some(lexeme.end);
            }
            LexemeKind::Space | LexemeKind::Comment => {}
            _ => {
                let follows_line_break = || last_semicolon.is_some_and(|end| text[end..lexeme.start].contains('\n'));
                if is_complete && follows_line_break() && matches!(lexeme.text(text), "." | "\\") {
                    return (lexeme.start, true);
                }
                has_content = true;
                is_complete = false;
            }
        }
    }
    match (has_content || last_semicolon.is_some(), is_complete) {
        (false, whole) => (0, whole),
        (true, whole) => (text.len(), whole),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Piece::{Command, Sql};

    #[test]
    fn enter_runs_what_is_complete() {
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
    fn commands_and_statements_are_separated() {
        let check = |text: &str, expected: &[Piece<'_>]| assert_eq!(pieces(text).0, expected, "{text}");
        check("SELECT 1;\nSELECT 2;\n", &[Sql("SELECT 1;\nSELECT 2;")]);
        check(".mode csv\nSELECT 1;\n.mode table", &[Command(".mode csv"), Sql("SELECT 1;"), Command(".mode table")]);
        check("SELECT 1\n.5;", &[Sql("SELECT 1\n.5;")]);
        check("-- a comment", &[]);
        check("\\q", &[Command("\\q")]);
    }
}
