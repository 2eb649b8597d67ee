//! The pieces of SQL text, for the shell's editor: colours, completion, and the end of a statement.
//!
//! The tokenizer of the parser divides the text, so the editor and the parser agree. Unfinished text is not an error here: a
//! string or a comment that does not end is one piece up to the end of the text. The pieces cover the text without gaps.

use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Whitespace};

use super::dialect::tokenize_partly;

/// The kind of a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LexemeKind {
    /// A name or a keyword. Only the parser can distinguish them.
    Word,
    /// A name in back-ticks.
    QuotedName,
    /// A string, in single or double quotes or between `$$`.
    Text,
    Number,
    Comment,
    /// `:name`, the marker of a parameter.
    Parameter,
    Symbol,
    Semicolon,
    Space,
    /// A piece that does not end.
    Unfinished(Unfinished),
}

/// The kind of a piece that does not end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfinished {
    Text,
    QuotedName,
    Comment,
}

/// A piece of text. `start` and `end` are offsets in bytes; the end is exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lexeme {
    pub kind: LexemeKind,
    pub start: usize,
    pub end: usize,
}

impl Lexeme {
    /// The text of the piece.
    pub fn text<'a>(&self, sql: &'a str) -> &'a str {
        sql.get(self.start..self.end).unwrap_or_default()
    }

    /// True for white space and comments.
    pub fn is_blank(&self) -> bool {
        matches!(self.kind, LexemeKind::Space | LexemeKind::Comment)
    }
}

/// The pieces of `sql`, in order.
pub fn lexemes(sql: &str) -> Vec<Lexeme> {
    let mut places = Places::new(sql);
    let mut lexemes: Vec<Lexeme> = Vec::new();
    for TokenWithSpan { token, span } in tokenize_partly(sql) {
        let (start, end) = (places.offset(span.start), places.offset(span.end));
        if start < end {
            push(&mut lexemes, sql, Lexeme { kind: kind(&token), start, end });
        }
    }
    let end = lexemes.last().map_or(0, |last| last.end);
    if end < sql.len() {
        let rest = &sql[end..];
        let blank = rest.len() - rest.trim_start().len();
        if blank > 0 {
            push(&mut lexemes, sql, Lexeme { kind: LexemeKind::Space, start: end, end: end + blank });
        }
        if blank < rest.len() {
            lexemes.push(Lexeme { kind: rest_kind(rest.trim_start()), start: end + blank, end: sql.len() });
        }
    }
    lexemes
}

/// A colon directly before a word marks a parameter. The colon of `column:path` does not, since a name is before it.
fn push(lexemes: &mut Vec<Lexeme>, sql: &str, next: Lexeme) {
    let before = lexemes.len().checked_sub(2).and_then(|position| lexemes.get(position)).copied();
    if let Some(colon) = lexemes.last_mut()
        && next.kind == LexemeKind::Word
        && colon.text(sql) == ":"
        && colon.end == next.start
        && before.is_none_or(|before| {
            before.is_blank() || (before.kind == LexemeKind::Symbol && !matches!(before.text(sql), ")" | "]"))
        })
    {
        colon.kind = LexemeKind::Parameter;
        colon.end = next.end;
        return;
    }
    lexemes.push(next);
}

fn kind(token: &Token) -> LexemeKind {
    match token {
        Token::Word(word) if word.quote_style.is_some() => LexemeKind::QuotedName,
        Token::Word(_) => LexemeKind::Word,
        Token::Number(..) => LexemeKind::Number,
        Token::Whitespace(Whitespace::SingleLineComment { .. } | Whitespace::MultiLineComment(_)) => {
            LexemeKind::Comment
        }
        Token::Whitespace(_) => LexemeKind::Space,
        Token::SemiColon => LexemeKind::Semicolon,
        Token::SingleQuotedString(_)
        | Token::DoubleQuotedString(_)
        | Token::DollarQuotedString(_)
        | Token::TripleSingleQuotedString(_)
        | Token::TripleDoubleQuotedString(_)
        | Token::NationalStringLiteral(_)
        | Token::EscapedStringLiteral(_)
        | Token::UnicodeStringLiteral(_)
        | Token::HexStringLiteral(_)
        | Token::SingleQuotedRawStringLiteral(_)
        | Token::DoubleQuotedRawStringLiteral(_)
        | Token::SingleQuotedByteStringLiteral(_)
        | Token::DoubleQuotedByteStringLiteral(_) => LexemeKind::Text,
        _ => LexemeKind::Symbol,
    }
}

/// The kind of the text at which the tokenizer stopped. A letter may precede the quote of a literal, as in `X'…`.
fn rest_kind(rest: &str) -> LexemeKind {
    let unprefixed = rest.trim_start_matches(|character: char| character.is_ascii_alphabetic());
    match unprefixed.as_bytes().first() {
        Some(b'\'' | b'"' | b'$') => LexemeKind::Unfinished(Unfinished::Text),
        Some(b'`') => LexemeKind::Unfinished(Unfinished::QuotedName),
        Some(b'/') => LexemeKind::Unfinished(Unfinished::Comment),
        _ => LexemeKind::Symbol,
    }
}

/// Converts lines and columns, which only grow, to offsets in bytes.
struct Places<'a> {
    rest: std::str::CharIndices<'a>,
    length: usize,
    line: u64,
    column: u64,
}

impl<'a> Places<'a> {
    fn new(sql: &'a str) -> Self {
        Self { rest: sql.char_indices(), length: sql.len(), line: 1, column: 1 }
    }

    fn offset(&mut self, place: Location) -> usize {
        while (self.line, self.column) < (place.line, place.column) {
            match self.rest.next() {
                Some((_, '\n')) => (self.line, self.column) = (self.line + 1, 1),
                Some(_) => self.column += 1,
                None => return self.length,
            }
        }
        self.rest.offset()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::parse_parts;

    fn shown(sql: &str) -> Vec<(LexemeKind, &str)> {
        let lexemes = lexemes(sql);
        let whole: String = lexemes.iter().map(|lexeme| lexeme.text(sql)).collect();
        assert_eq!(whole, sql, "the pieces cover the text");
        lexemes.iter().filter(|lexeme| lexeme.kind != LexemeKind::Space).map(|l| (l.kind, l.text(sql))).collect()
    }

    #[test]
    fn text_is_divided_as_the_parser_divides_it() {
        use LexemeKind::*;
        assert_eq!(
            shown("SELECT `a b`, 'it''s; \\'x', 1.5 -- end; of\n/* c; /* d */ */ FROM t;"),
            [
                (Word, "SELECT"),
                (QuotedName, "`a b`"),
                (Symbol, ","),
                (Text, "'it''s; \\'x'"),
                (Symbol, ","),
                (Number, "1.5"),
                (Comment, "-- end; of\n"),
                (Comment, "/* c; /* d */ */"),
                (Word, "FROM"),
                (Word, "t"),
                (Semicolon, ";"),
            ]
        );
        assert_eq!(shown("x = :day"), [(Word, "x"), (Symbol, "="), (Parameter, ":day")]);
        assert_eq!(shown("a:b")[1].0, Symbol);
        assert_eq!(shown("$$a;b$$;"), [(Text, "$$a;b$$"), (Semicolon, ";")]);
        assert_eq!(shown("'東京' 😀é x").last(), Some(&(Word, "x")));
    }

    #[test]
    fn unfinished_text_is_one_piece() {
        use LexemeKind::Unfinished as Open;
        for (sql, kind, rest) in [
            ("SELECT 'a; b", Unfinished::Text, "'a; b"),
            ("SELECT \"a", Unfinished::Text, "\"a"),
            ("SELECT `a;", Unfinished::QuotedName, "`a;"),
            ("SELECT 1 /* a; ", Unfinished::Comment, "/* a; "),
            ("CREATE $$ a; ", Unfinished::Text, "$$ a; "),
            ("SELECT X'41", Unfinished::Text, "X'41"),
        ] {
            assert_eq!(shown(sql).last(), Some(&(Open(kind), rest)), "{sql}");
        }
    }

    /// A semicolon that ends a statement here also ends it for the parser.
    #[test]
    fn statements_end_where_they_end_for_the_parser() {
        for sql in ["SELECT ';'; SELECT 1;", "SELECT 1 -- ;\n;", "/* ; */ SELECT `;`;", "SELECT '\\';'; SELECT 2"] {
            let ends = lexemes(sql).iter().filter(|lexeme| lexeme.kind == LexemeKind::Semicolon).count();
            let open = usize::from(!sql.trim_end().ends_with(';'));
            assert_eq!(parse_parts(sql).map(|parts| parts.len()).unwrap(), ends + open, "{sql}");
        }
    }
}
