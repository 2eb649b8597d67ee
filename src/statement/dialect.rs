//! The SQL dialect of Databricks: sqlparser's dialect, with string literals as Databricks reads them.
//!
//! sqlparser does not process back-slashes in literals. In Databricks `'\n'` is a newline and `'\\d'` has one back-slash
//! (<https://docs.databricks.com/en/sql/language-manual/data-types/string-type.html>). So the tokenizer here keeps the text
//! of literals, and [`unescape`] applies Spark's rules. Raw literals (`r'…'`) are not changed.

use std::any::TypeId;

use sqlparser::ast::{BinaryOperator, Expr};
use sqlparser::dialect::{DatabricksDialect, Dialect};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, TokenizerError, Word};

/// Between the precedence of `+` and that of `&` in sqlparser's tables.
const SHIFT_PRECEDENCE: u8 = 25;
/// The suffixes that set the type of a number.
const NUMBER_TYPES: [&str; 6] = ["L", "S", "Y", "D", "F", "BD"];

/// sqlparser's [`DatabricksDialect`] with back-slash escapes. It forwards every method for which that dialect differs from
/// the defaults.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct PinsqlDialect(DatabricksDialect);

impl Dialect for PinsqlDialect {
    fn dialect(&self) -> TypeId {
        self.0.dialect()
    }

    fn supports_string_literal_backslash_escape(&self) -> bool {
        true
    }

    /// Shifts have a lower precedence than `+` and a higher one than `&`.
    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        let is_shift = matches!(parser.peek_token_ref().token, Token::ShiftLeft | Token::ShiftRight);
        is_shift.then_some(Ok(SHIFT_PRECEDENCE))
    }

    /// `a div b` has the precedence of `/`.
    fn parse_infix(&self, parser: &mut Parser, left: &Expr, precedence: u8) -> Option<Result<Expr, ParserError>> {
        parser.parse_keyword(Keyword::DIV).then(|| {
            let right = parser.parse_subexpr(precedence)?;
            Ok(Expr::BinaryOp {
                left: Box::new(left.clone()),
                op: BinaryOperator::MyIntegerDivide,
                right: Box::new(right),
            })
        })
    }

    fn supports_bitwise_shift_operators(&self) -> bool {
        true
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        self.0.is_delimited_identifier_start(ch)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        self.0.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        self.0.is_identifier_part(ch)
    }

    fn supports_numeric_prefix(&self) -> bool {
        self.0.supports_numeric_prefix()
    }

    // Databricks has ORDER BY ALL, and sqlparser's dialect of Databricks does not.
    fn supports_order_by_all(&self) -> bool {
        true
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        self.0.supports_filter_during_aggregation()
    }

    fn supports_group_by_expr(&self) -> bool {
        self.0.supports_group_by_expr()
    }

    fn supports_table_versioning(&self) -> bool {
        self.0.supports_table_versioning()
    }

    fn supports_lambda_functions(&self) -> bool {
        self.0.supports_lambda_functions()
    }

    fn supports_select_wildcard_except(&self) -> bool {
        self.0.supports_select_wildcard_except()
    }

    fn require_interval_qualifier(&self) -> bool {
        self.0.require_interval_qualifier()
    }

    /// `MAP<STRING, INT>` as a type. sqlparser's dialect of Databricks does not have it.
    fn supports_map_literal_with_angle_brackets(&self) -> bool {
        true
    }

    fn supports_struct_literal(&self) -> bool {
        self.0.supports_struct_literal()
    }

    fn supports_nested_comments(&self) -> bool {
        self.0.supports_nested_comments()
    }

    fn supports_group_by_with_modifier(&self) -> bool {
        self.0.supports_group_by_with_modifier()
    }

    fn supports_values_as_table_factor(&self) -> bool {
        self.0.supports_values_as_table_factor()
    }

    fn supports_optimize_table(&self) -> bool {
        self.0.supports_optimize_table()
    }

    fn supports_bang_not_operator(&self) -> bool {
        self.0.supports_bang_not_operator()
    }

    fn supports_cte_without_as(&self) -> bool {
        self.0.supports_cte_without_as()
    }

    fn supports_select_item_multi_column_alias(&self) -> bool {
        self.0.supports_select_item_multi_column_alias()
    }
}

/// The tokens of `sql`, with white space and comments. Literals have the values that Databricks gives them.
pub(crate) fn tokenize(sql: &str) -> Result<Vec<TokenWithSpan>, TokenizerError> {
    let tokens = Tokenizer::new(&PinsqlDialect::default(), sql).with_unescape(false).tokenize_with_location()?;
    let mut read: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    for mut token in tokens {
        let prefix = read.pop_if(|before| is_raw_prefix(before, &token));
        match &mut token.token {
            Token::SingleQuotedString(_) | Token::DoubleQuotedString(_) if prefix.is_some() => {}
            Token::SingleQuotedString(text) => *text = unescape(text, '\''),
            Token::DoubleQuotedString(text) => *text = unescape(text, '"'),
            Token::Word(word) if word.quote_style == Some('`') => word.value = word.value.replace("``", "`"),
            _ => {}
        }
        token.span.start = prefix.map_or(token.span.start, |prefix| prefix.span.start);
        read.push(token);
    }
    Ok(with_typed_numbers(read))
}

/// True if these are the `r` and the text of `r'…'`, with nothing between them.
fn is_raw_prefix(before: &TokenWithSpan, literal: &TokenWithSpan) -> bool {
    let is_text = matches!(literal.token, Token::SingleQuotedString(_) | Token::DoubleQuotedString(_));
    let is_r = matches!(&before.token, Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case("r"));
    is_r && is_text && before.span.end == literal.span.start
}

/// Joins a number and its suffix to one word: `1.5D`. Otherwise the suffix would be an alias. Expressions are rewritten
/// later.
fn with_typed_numbers(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut joined: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    for mut token in tokens {
        if let (Some(TokenWithSpan { token: Token::Number(digits, false), span }), Token::Word(word)) =
            (joined.last(), &mut token.token)
            && word.quote_style.is_none()
            && NUMBER_TYPES.iter().any(|letters| word.value.eq_ignore_ascii_case(letters))
        {
            *word = Word { value: format!("{digits}{}", word.value), quote_style: None, keyword: Keyword::NoKeyword };
            token.span.start = span.start;
            joined.pop();
        }
        joined.push(token);
    }
    joined
}

/// The tokens of unfinished text, up to the first token that does not end. Literals keep their original text.
pub(crate) fn tokenize_partly(sql: &str) -> Vec<TokenWithSpan> {
    let mut tokens = Vec::new();
    // The caller treats the text after the last token as unfinished.
    let _ = Tokenizer::new(&PinsqlDialect::default(), sql)
        .with_unescape(false)
        .tokenize_with_location_into_buf(&mut tokens);
    tokens
}

/// Spark's `unescapeSQLString`: `\n \r \t \b \0 \Z`, `\uXXXX`, `\UXXXXXXXX` and three octal digits. `\%` and `\_` keep their
/// back-slash for LIKE. Any other escaped character is itself. A doubled quote is one quote.
fn unescape(written: &str, quote: char) -> String {
    if !written.contains(['\\', quote]) {
        return written.to_owned();
    }
    let mut text = String::with_capacity(written.len());
    let mut rest = written.chars();
    while let Some(character) = rest.next() {
        match character {
            '\\' => match escaped(rest.as_str()) {
                Some((value, length)) => {
                    text.push_str(&value);
                    rest = rest.as_str()[length..].chars();
                }
                None => text.push('\\'),
            },
            _ if character == quote => {
                rest.next();
                text.push(quote);
            }
            _ => text.push(character),
        }
    }
    text
}

/// The value of the escape sequence after a back-slash, and its length in bytes.
fn escaped(rest: &str) -> Option<(String, usize)> {
    let first = rest.chars().next()?;
    let coded = |digits: usize, radix: u32, skip: usize| {
        let code = rest.get(skip..skip + digits)?;
        let value = code.chars().all(|c| c.is_digit(radix)).then(|| u32::from_str_radix(code, radix).ok())??;
        Some((char::from_u32(value)?.to_string(), skip + digits))
    };
    let numbered = match first {
        'u' => coded(4, 16, 1),
        'U' => coded(8, 16, 1),
        '0'..='1' => coded(3, 8, 0),
        _ => None,
    };
    Some(numbered.unwrap_or_else(|| {
        let value = match first {
            'n' => "\n".to_owned(),
            'r' => "\r".to_owned(),
            't' => "\t".to_owned(),
            'b' => "\u{8}".to_owned(),
            '0' => "\0".to_owned(),
            'Z' => "\u{1a}".to_owned(),
            '%' | '_' => format!("\\{first}"),
            other => other.to_string(),
        };
        (value, first.len_utf8())
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_read_as_databricks_reads_them() {
        let check = |sql: &str, expected: &str| match &tokenize(sql).unwrap()[0].token {
            Token::SingleQuotedString(text) | Token::DoubleQuotedString(text) => assert_eq!(text, expected, "{sql}"),
            other => panic!("{sql}: {other:?}"),
        };
        check(r"'plain'", "plain");
        check(r"'it''s'", "it's");
        check(r#""say ""hi""""#, "say \"hi\"");
        check(r"'a\nb\\d\'c'", "a\nb\\d'c");
        check(r"'\u00e9\U0001F600\101'", "é😀A");
        check(r"'50\% \_ \q'", "50\\% \\_ q");
        check(r"'\u12'", "u12");
        check(r"r'(\d+)\n'", r"(\d+)\n");
        check(r#"R"\w""#, r"\w");
    }

    #[test]
    fn a_column_called_r_may_have_an_alias() {
        assert_eq!(tokenize("r 'x'").unwrap().len(), 3);
    }

    #[test]
    fn a_quoted_name_may_hold_a_quote() {
        let tokens = tokenize("`a``b`").unwrap();
        assert!(matches!(&tokens[0].token, Token::Word(word) if word.value == "a`b"));
    }
}
