//! Splits the input into commands of one line, and SQL up to its `;`.
//!
//! The same rule decides whether Enter runs the input or starts another line, so the two always agree.

use crate::statement::lexeme::{LexemeKind, lexemes};

/// Words that are a command if they are alone on a line, without the dot. No statement begins with them.
const WORDS: [(&str, &str); 3] = [("help", ".help"), ("quit", ".quit"), ("exit", ".exit")];

/// A part of the input.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// A line that begins with a dot or a back-slash, or one of the words that need none.
    Command(&'a str),
    /// One or more statements, each with its `;`.
    Sql(&'a str),
}

/// True if the text has commands between its statements.
pub(in crate::cli) fn has_commands(text: &str) -> bool {
    pieces(text).0.iter().any(|piece| matches!(piece, Piece::Command(_)))
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
        if let Some(command) = command_at(start) {
            pieces.push(Piece::Command(command));
            rest = start.split_once('\n').map_or("", |(_, after)| after);
            continue;
        }
        let statements = statements_at(start);
        // Text with only comments is complete, and there is nothing to run.
        if statements.has_content {
            pieces.push(Piece::Sql(start[..statements.end].trim_end()));
        }
        rest = &start[statements.end..];
        if statements.end == start.len() {
            return (pieces, statements.is_complete);
        }
    }
}

/// The command in the first line of `text`.
fn command_at(text: &str) -> Option<&str> {
    let line = text.lines().next().unwrap_or_default().trim();
    if line.starts_with(['.', '\\']) {
        return Some(line);
    }
    let word = line.trim_end_matches(';').trim_end();
    WORDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(word)).map(|(_, command)| *command)
}

/// The statements at the start of a text.
struct Statements {
    /// Their end: the end of the text, or the start of a line with a command.
    end: usize,
    /// True if the last one has its `;`.
    is_complete: bool,
    /// True if there is more than comments.
    has_content: bool,
}

fn statements_at(text: &str) -> Statements {
    let mut is_complete = true;
    let mut has_content = false;
    // The end of the last statement.
    let mut last_end = 0;
    for lexeme in lexemes(text) {
        match lexeme.kind {
            LexemeKind::Semicolon => {
                is_complete = true;
                has_content = true;
                last_end = lexeme.end;
            }
            LexemeKind::Space | LexemeKind::Comment => {}
            _ => {
                let is_first_of_line = || text[last_end..lexeme.start].contains('\n');
                if is_complete && is_first_of_line() && command_at(&text[lexeme.start..]).is_some() {
                    return Statements { end: lexeme.start, is_complete: true, has_content };
                }
                has_content = true;
                is_complete = false;
            }
        }
    }
    Statements { end: text.len(), is_complete, has_content }
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
    fn some_words_are_commands_alone_on_a_line() {
        let check = |text: &str, expected: &[Piece<'_>]| assert_eq!(pieces(text).0, expected, "{text}");
        check("help", &[Command(".help")]);
        check("QUIT;", &[Command(".quit")]);
        check("SELECT 1;\nexit\n", &[Sql("SELECT 1;"), Command(".exit")]);
        check("SELECT a AS\nhelp;", &[Sql("SELECT a AS\nhelp;")]);
        check("help me;", &[Sql("help me;")]);
        assert!(pieces("exit").1);
        assert!(has_commands(".tables") && !has_commands("SELECT 1;\nSELECT 2"));
    }

    #[test]
    fn commands_and_statements_are_separated() {
        let check = |text: &str, expected: &[Piece<'_>]| assert_eq!(pieces(text).0, expected, "{text}");
        check("SELECT 1;\nSELECT 2;\n", &[Sql("SELECT 1;\nSELECT 2;")]);
        check(".mode csv\nSELECT 1;\n.mode table", &[Command(".mode csv"), Sql("SELECT 1;"), Command(".mode table")]);
        check("SELECT 1\n.5;", &[Sql("SELECT 1\n.5;")]);
        check("-- a comment", &[]);
        check("\\q", &[Command("\\q")]);
        check("-- a comment\n.mode csv\nSELECT 1;", &[Command(".mode csv"), Sql("SELECT 1;")]);
        check("SELECT 1; -- one\nSELECT 2", &[Sql("SELECT 1; -- one\nSELECT 2")]);
    }
}
