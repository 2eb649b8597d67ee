//! `t@v3`, `t@20260101000000000`, and the forms of AS OF that sqlparser does not have.
//!
//! All are rewritten as `VERSION AS OF 3` or `TIMESTAMP AS OF '…'` before sqlparser reads them. So a version is allowed
//! wherever a table is allowed. `@` has no other meaning in this dialect.

use chrono::NaiveDateTime;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use super::upper;
use pinsql_base::error::{Error, ErrorCode, Result};

/// The number of digits of a timestamp after `@`: yyyyMMddHHmmssSSS, as in Databricks.
const MOMENT_DIGITS: usize = 17;

/// The tokens (without white space) with every version as `VERSION AS OF` or `TIMESTAMP AS OF`.
pub(super) fn written_out(tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>> {
    let mut written = Vec::with_capacity(tokens.len());
    let mut rest = tokens.into_iter().peekable();
    while let Some(token) = rest.next() {
        match &token.token {
            Token::AtSign if matches!(written.last().map(|last: &TokenWithSpan| &last.token), Some(Token::Word(_))) => {
                let behind = rest.next();
                let version = behind.as_ref().and_then(|behind| version_behind(&token, behind));
                written.extend(version.ok_or_else(|| not_a_version(behind.as_ref().unwrap_or(&token)))?);
            }
            Token::Word(_) if upper(&token) == "FOR" && rest.peek().is_some_and(|next| is_as_of(&upper(next))) => {}
            // `VERSION AS OF '3'`: the quotes have no meaning.
            Token::SingleQuotedString(number) if follows_version_as_of(&written) && is_number(number) => {
                written.push(TokenWithSpan { token: Token::Number(number.clone(), false), span: token.span });
            }
            _ => written.push(token),
        }
    }
    Ok(written)
}

fn is_as_of(word: &str) -> bool {
    matches!(word, "VERSION" | "TIMESTAMP")
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn follows_version_as_of(written: &[TokenWithSpan]) -> bool {
    let words: Vec<String> = written.iter().rev().take(3).map(upper).collect();
    words.iter().map(String::as_str).eq(["OF", "AS", "VERSION"])
}

/// The version of `v3` or of a timestamp in digits. None for anything else.
fn version_behind(place: &TokenWithSpan, behind: &TokenWithSpan) -> Option<[TokenWithSpan; 4]> {
    let (keyword, value) = match &behind.token {
        Token::Word(word) => {
            let number = word.value.strip_prefix(['v', 'V']).filter(|number| is_number(number))?;
            (Keyword::VERSION, Token::Number(number.to_owned(), false))
        }
        Token::Number(digits, _) if digits.len() == MOMENT_DIGITS => {
            // chrono parses a fraction of a second only after a point.
            let text = format!("{}.{}", &digits[..14], &digits[14..]);
            let moment = NaiveDateTime::parse_from_str(&text, "%Y%m%d%H%M%S%.3f").ok()?;
            (Keyword::TIMESTAMP, Token::SingleQuotedString(moment.format("%Y-%m-%d %H:%M:%S%.3f").to_string()))
        }
        _ => return None,
    };
    let word =
        |keyword: Keyword, value: &str| Token::Word(Word { value: value.to_owned(), quote_style: None, keyword });
    let name = if keyword == Keyword::VERSION { "VERSION" } else { "TIMESTAMP" };
    let tokens = [word(keyword, name), word(Keyword::AS, "AS"), word(Keyword::OF, "OF"), value];
    let span = place.span.union(&behind.span);
    Some(tokens.map(|token| TokenWithSpan { token, span }))
}

fn not_a_version(token: &TokenWithSpan) -> Error {
    Error::new(ErrorCode::ParseSyntaxError, "expected a version after `@`")
        .at(token.span)
        .with_hint("write t@v3 for version 3, or t@20260131235959000 for a moment (yyyyMMddHHmmssSSS)")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::dialect::tokenize;

    fn text(sql: &str) -> Result<String> {
        let tokens = tokenize(sql).unwrap().into_iter();
        let tokens = tokens.filter(|token| !matches!(token.token, Token::Whitespace(_))).collect();
        let tokens: Vec<String> = written_out(tokens)?.iter().map(|token| token.token.to_string()).collect();
        Ok(tokens.join(" "))
    }

    #[test]
    fn versions_are_written_out() {
        for (sql, expected) in [
            ("FROM s.t@v3 x", "FROM s . t VERSION AS OF 3 x"),
            ("FROM `t`@V12", "FROM `t` VERSION AS OF 12"),
            ("FROM t@20260131235959007", "FROM t TIMESTAMP AS OF '2026-01-31 23:59:59.007'"),
            ("FROM t FOR VERSION AS OF '4'", "FROM t VERSION AS OF 4"),
            ("FROM t FOR TIMESTAMP AS OF '4'", "FROM t TIMESTAMP AS OF '4'"),
            ("SELECT 'a@v1', version AS of FROM t", "SELECT 'a@v1' , version AS of FROM t"),
        ] {
            assert_eq!(text(sql).unwrap(), expected, "{sql}");
        }
    }

    #[test]
    fn text_that_is_not_a_version_is_an_error() {
        for sql in ["FROM t@3", "FROM t@v", "FROM t@2026", "FROM t@20261331235959000", "FROM t@", "FROM t@now"] {
            assert_eq!(text(sql).unwrap_err().message, "expected a version after `@`", "{sql}");
        }
    }
}
