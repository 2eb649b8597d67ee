//! The colours of the input.

use reedline::{Color, Highlighter, StyledText};

use super::complete::is_keyword;
use crate::statement::lexeme::{Lexeme, LexemeKind, lexemes};

/// Longer text is shown without colours: it is pasted data, and each key would split it again.
const BYTES_MAX: usize = 100_000;

pub(super) struct SqlHighlighter;

/// The role of a piece of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Plain,
    Keyword,
    Function,
    Text,
    Number,
    Comment,
    Parameter,
    Command,
}

impl Highlighter for SqlHighlighter {
    fn highlight(&self, line: &str, _cursor: usize) -> StyledText {
        let mut styled = StyledText::new();
        for (role, text) in roles(line) {
            let style = match role {
                Role::Plain => Color::Default.normal(),
                Role::Keyword => Color::Blue.bold(),
                Role::Function => Color::Cyan.normal(),
                Role::Text => Color::Green.normal(),
                Role::Number => Color::Magenta.normal(),
                Role::Comment => Color::DarkGray.normal(),
                Role::Parameter => Color::Yellow.normal(),
                Role::Command => Color::Purple.bold(),
            };
            styled.push((style, text.to_owned()));
        }
        styled
    }
}

fn roles(line: &str) -> Vec<(Role, &str)> {
    if line.len() > BYTES_MAX {
        return vec![(Role::Plain, line)];
    }
    if line.starts_with(['.', '\\']) {
        let end = line.find(char::is_whitespace).unwrap_or(line.len());
        return vec![(Role::Command, &line[..end]), (Role::Plain, &line[end..])];
    }
    let lexemes = lexemes(line);
    let role = |(position, lexeme): (usize, &Lexeme)| (role(line, lexeme, &lexemes[position + 1..]), lexeme.text(line));
    lexemes.iter().enumerate().map(role).collect()
}

fn role(line: &str, lexeme: &Lexeme, after: &[Lexeme]) -> Role {
    use crate::statement::lexeme::Unfinished;
    match lexeme.kind {
        LexemeKind::Word if is_keyword(lexeme.text(line)) => Role::Keyword,
        LexemeKind::Word if after.first().is_some_and(|next| next.text(line) == "(") => Role::Function,
        LexemeKind::Text | LexemeKind::Unfinished(Unfinished::Text) => Role::Text,
        LexemeKind::Number => Role::Number,
        LexemeKind::Comment | LexemeKind::Unfinished(Unfinished::Comment) => Role::Comment,
        LexemeKind::Parameter => Role::Parameter,
        _ => Role::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_follow_the_lexemes() {
        use Role::*;
        let check = |line: &str, expected: &[(Role, &str)]| {
            let shown: Vec<_> = roles(line).into_iter().filter(|(_, text)| !text.trim().is_empty()).collect();
            assert_eq!(shown, expected, "{line}");
            assert_eq!(roles(line).iter().map(|(_, text)| *text).collect::<String>(), line);
        };
        check(
            "select upper(title), 1 from t where a = :a -- x",
            &[
                (Keyword, "select"),
                (Function, "upper"),
                (Plain, "("),
                (Plain, "title"),
                (Plain, ")"),
                (Plain, ","),
                (Number, "1"),
                (Keyword, "from"),
                (Plain, "t"),
                (Keyword, "where"),
                (Plain, "a"),
                (Plain, "="),
                (Parameter, ":a"),
                (Comment, "-- x"),
            ],
        );
        check("SELECT 'it''s", &[(Keyword, "SELECT"), (Text, "'it''s")]);
        check(".mode csv", &[(Command, ".mode"), (Plain, " csv")]);
    }
}
