//! `STREAM f(…) [WATERMARK column DELAY OF INTERVAL …]`, which sqlparser does not have.
//!
//! The words around the call become named arguments of the call, with names that no user can write. `STREAM f(a) WATERMARK c
//! DELAY OF d` becomes `f(a, stream => true, column => c, delay => d)`. So a stream is allowed wherever sqlparser allows a
//! table function, and the call keeps its span.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use super::upper;
use pinsql_base::error::{Error, ErrorCode, Result};

/// The argument that marks a stream. The names have a space, which no unquoted name has.
pub(in crate::statement) const STREAM: &str = "stream marker";
/// The argument with the column of the watermark.
pub(in crate::statement) const WATERMARK: &str = "watermark column";
/// The argument with the delay of the watermark.
pub(in crate::statement) const DELAY: &str = "watermark delay";

/// The tokens without white space, with STREAM and WATERMARK moved into the arguments of the calls.
pub(super) fn marked(tokens: &[TokenWithSpan]) -> Result<Vec<TokenWithSpan>> {
    let mut rest: Vec<TokenWithSpan> =
        tokens.iter().filter(|token| !matches!(token.token, Token::Whitespace(_))).cloned().collect();
    let mut start = 0;
    while let Some(found) = rest[start..].windows(2).position(is_stream) {
        let stream = start + found + 1;
        let marker = rest.remove(stream);
        // `STREAM (f(…))`: the outer brackets have no meaning.
        let bracketed = matches!(token(&rest, stream), Token::LParen);
        if bracketed {
            rest.remove(stream);
        }
        let close = close_call(&mut rest, stream, &marker)?;
        let mut behind = close + 1;
        if bracketed {
            match token(&rest, behind) {
                Token::RParen => drop(rest.remove(behind)),
                _ => {
                    return Err(Error::new(ErrorCode::ParseSyntaxError, "expected `)` after the call in STREAM ( … )")
                        .at(marker.span));
                }
            }
        }
        let mut arguments = named(STREAM, vec![word("true", Keyword::TRUE, &marker)], &marker);
        if matches!(token(&rest, behind), Token::Word(word) if word.value.eq_ignore_ascii_case("WATERMARK")) {
            arguments.extend(watermark(&mut rest, behind)?);
        }
        if !matches!(token(&rest, close - 1), Token::LParen) {
            arguments.insert(0, at(Token::Comma, &marker));
        }
        behind = close + arguments.len();
        rest.splice(close..close, arguments);
        start = behind;
    }
    Ok(rest)
}

/// True for `FROM STREAM` and `JOIN STREAM` before a name or a bracket. Elsewhere `stream` is an ordinary name.
fn is_stream(pair: &[TokenWithSpan]) -> bool {
    matches!(upper(&pair[0]).as_str(), "FROM" | "JOIN") && upper(&pair[1]) == "STREAM"
}

/// The position of the bracket that closes the call at `name`. A plain name becomes a call without arguments.
fn close_call(tokens: &mut Vec<TokenWithSpan>, name: usize, marker: &TokenWithSpan) -> Result<usize> {
    let mut open = name + 1;
    while matches!(token(tokens, open), Token::Period) {
        open += 2;
    }
    if !matches!(token(tokens, name), Token::Word(_)) {
        return Err(Error::new(
            ErrorCode::ParseSyntaxError,
            "expected a table function after STREAM, such as read_kinesis(…)",
        )
        .at(marker.span));
    }
    if !matches!(token(tokens, open), Token::LParen) {
        tokens.splice(open..open, [at(Token::LParen, marker), at(Token::RParen, marker)]);
        return Ok(open + 1);
    }
    let mut depth = 0_u32;
    for (index, candidate) in tokens.iter().enumerate().skip(open) {
        match candidate.token {
            Token::LParen => depth += 1,
            Token::RParen if depth == 1 => return Ok(index),
            Token::RParen => depth -= 1,
            _ => {}
        }
    }
    Err(Error::new(ErrorCode::ParseSyntaxError, "the call after STREAM is not closed: expected `)`").at(marker.span))
}

/// Removes `WATERMARK column DELAY OF INTERVAL …` from the tokens and returns it as arguments.
fn watermark(tokens: &mut Vec<TokenWithSpan>, start: usize) -> Result<Vec<TokenWithSpan>> {
    let place = tokens[start].clone();
    let expected = "write WATERMARK column DELAY OF INTERVAL 10 MINUTES";
    let wrong = |token: Option<&TokenWithSpan>| {
        Error::new(ErrorCode::ParseSyntaxError, "this WATERMARK is not understood")
            .at(token.unwrap_or(&place).span)
            .with_hint(expected)
    };
    let column = tokens.get(start + 1).cloned().filter(|token| matches!(token.token, Token::Word(_)));
    let column = column.ok_or_else(|| wrong(tokens.get(start + 1)))?;
    let is = |index: usize, word: &str| tokens.get(index).is_some_and(|token| upper(token) == word);
    if !(is(start + 2, "DELAY") && is(start + 3, "OF") && is(start + 4, "INTERVAL")) {
        return Err(wrong(tokens.get(start + 2)));
    }
    // INTERVAL '10 minutes', or INTERVAL 10 MINUTES.
    let end = match token(tokens, start + 6) {
        Token::Word(unit) if is_unit(&unit.value) => start + 7,
        _ => start + 6,
    };
    if end > tokens.len() {
        return Err(wrong(None));
    }
    let taken: Vec<TokenWithSpan> = tokens.drain(start..end).collect();
    let mut arguments = vec![at(Token::Comma, &place)];
    let name = match &column.token {
        Token::Word(word) => word.value.clone(),
        _ => String::new(),
    };
    arguments.extend(named(WATERMARK, vec![at(Token::SingleQuotedString(name), &column)], &place));
    arguments.push(at(Token::Comma, &place));
    arguments.extend(named(DELAY, taken[4..].to_vec(), &place));
    Ok(arguments)
}

fn is_unit(word: &str) -> bool {
    let word = word.to_uppercase();
    ["MILLISECOND", "SECOND", "MINUTE", "HOUR", "DAY", "WEEK"].contains(&word.strip_suffix('S').unwrap_or(&word))
}

/// `name => value`
fn named(name: &str, value: Vec<TokenWithSpan>, place: &TokenWithSpan) -> Vec<TokenWithSpan> {
    let name = Token::Word(Word { value: name.to_owned(), quote_style: Some('`'), keyword: Keyword::NoKeyword });
    [vec![at(name, place), at(Token::RArrow, place)], value].concat()
}

fn word(value: &str, keyword: Keyword, place: &TokenWithSpan) -> TokenWithSpan {
    at(Token::Word(Word { value: value.to_owned(), quote_style: None, keyword }), place)
}

fn at(token: Token, place: &TokenWithSpan) -> TokenWithSpan {
    TokenWithSpan { token, span: place.span }
}

fn token(tokens: &[TokenWithSpan], index: usize) -> Token {
    tokens.get(index).map_or(Token::EOF, |token| token.token.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::dialect::tokenize;

    #[test]
    fn a_stream_becomes_arguments_of_its_call() {
        let check = |sql: &str, expected: &str| {
            let tokens = marked(&tokenize(sql).unwrap()).unwrap();
            let text: Vec<String> = tokens.iter().map(|token| token.token.to_string()).collect();
            assert_eq!(text.join(" "), expected, "{sql}");
        };
        let marker = "`stream marker` => true";
        check("SELECT stream FROM STREAM f(a => 1) x", &format!("SELECT stream FROM f ( a => 1 , {marker} ) x"));
        check("FROM STREAM(f(g(1)))", &format!("FROM f ( g ( 1 ) , {marker} )"));
        check("FROM STREAM f()", &format!("FROM f ( {marker} )"));
        check("FROM STREAM a.v", &format!("FROM a . v ( {marker} )"));
        check("SELECT a AS stream FROM (SELECT 1)", "SELECT a AS stream FROM ( SELECT 1 )");
        check(
            "FROM STREAM f(1) WATERMARK t DELAY OF INTERVAL 10 MINUTES WHERE a",
            &format!(
                "FROM f ( 1 , {marker} , `watermark column` => 't' , `watermark delay` => INTERVAL 10 MINUTES ) WHERE a"
            ),
        );
        check(
            "FROM STREAM f(1) WATERMARK t DELAY OF INTERVAL '10 minutes'",
            &format!(
                "FROM f ( 1 , {marker} , `watermark column` => 't' , `watermark delay` => INTERVAL '10 minutes' )"
            ),
        );
    }

    #[test]
    fn an_unfinished_stream_is_an_error() {
        for sql in ["FROM STREAM f(1", "FROM STREAM (f(1)", "FROM STREAM 'x'", "FROM STREAM f(1) WATERMARK t LATE 3"] {
            assert!(marked(&tokenize(sql).unwrap()).is_err(), "{sql}");
        }
    }
}
