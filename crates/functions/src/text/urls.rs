//! `parse_url` and `try_parse_url`: the parts of a URL, by the rules of `java.net.URI`.
//!
//! Nothing is normalized: escapes are not decoded, a default port is not removed, and the host keeps its case.

use datafusion::common::Result;

use crate::row::Kind::Text;
use crate::row::{Row, RowFunction, wrong_value};

pub(crate) fn functions() -> Vec<RowFunction> {
    vec![
        RowFunction::new("parse_url", &[Text, Text, Text], Text, |row| {
            let url = row.text(0)?;
            match Url::parse(url) {
                Some(url) => Ok(url.requested_part(row)?.into()),
                None => Err(wrong_value(format!("parse_url: `{url}` is not a URL"))),
            }
        })
        .with_required(2),
        RowFunction::new("try_parse_url", &[Text, Text, Text], Text, |row| {
            let found = Url::parse(row.text(0)?).map(|url| url.requested_part(row)).transpose()?;
            Ok(found.flatten().into())
        })
        .with_required(2),
    ]
}

/// `scheme://user@host:port/path?query#fragment`. `scheme:text` has only a scheme.
struct Url<'a> {
    scheme: Option<&'a str>,
    authority: Option<&'a str>,
    path: Option<&'a str>,
    query: Option<&'a str>,
    fragment: Option<&'a str>,
}

impl<'a> Url<'a> {
    fn parse(url: &'a str) -> Option<Self> {
        let is_escaped = |(index, _): (usize, &str)| {
            let digits = url.as_bytes().get(index + 1..index + 3);
            digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
        };
        let is_refused = |character: char| {
            character.is_ascii_control()
                || matches!(character, ' ' | '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}')
        };
        if url.contains(is_refused) || !url.match_indices('%').all(is_escaped) {
            return None;
        }
        let (rest, fragment) = split(url, '#');
        let (scheme, rest) = match rest.find([':', '/', '?']) {
            Some(index) if rest[index..].starts_with(':') => (Some(&rest[..index]), &rest[index + 1..]),
            _ => (None, rest),
        };
        let is_scheme = |scheme: &str| {
            scheme.starts_with(|first: char| first.is_ascii_alphabetic())
                && scheme.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '+' | '-' | '.'))
        };
        if !scheme.is_none_or(is_scheme) || (scheme.is_some() && rest.is_empty()) {
            return None;
        }
        if scheme.is_some() && !rest.starts_with('/') {
            return Some(Self { scheme, authority: None, path: None, query: None, fragment });
        }
        let (rest, query) = split(rest, '?');
        let (authority, path) = match rest.strip_prefix("//") {
            Some(rest) => {
                let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                (Some(authority).filter(|authority| !authority.is_empty()), path)
            }
            None => (None, rest),
        };
        Some(Self { scheme, authority, path: Some(path), query, fragment })
    }

    /// Returns the part in the second argument, or the query parameter in the third one.
    fn requested_part(&self, row: &Row<'_>) -> Result<Option<String>> {
        if row.len() > 2 {
            let key = row.text(2)?;
            let parameters = self.query.filter(|_| row.text(1).is_ok_and(|part| part == "QUERY")).into_iter();
            let found = parameters
                .flat_map(|query| query.split('&'))
                .find_map(|parameter| parameter.strip_prefix(key)?.strip_prefix('='));
            return Ok(found.map(str::to_owned));
        }
        let user_and_host = || self.authority.map(|authority| authority.rsplit_once('@').unwrap_or(("", authority)));
        Ok(match row.text(1)? {
            "HOST" => user_and_host().map(|(_, host)| without_port(host).to_owned()),
            "PATH" => self.path.map(str::to_owned),
            "QUERY" => self.query.map(str::to_owned),
            "REF" => self.fragment.map(str::to_owned),
            "PROTOCOL" => self.scheme.map(str::to_owned),
            "FILE" => self.path.map(|path| match self.query {
                Some(query) => format!("{path}?{query}"),
                None => path.to_owned(),
            }),
            "AUTHORITY" => self.authority.map(str::to_owned),
            "USERINFO" => user_and_host().filter(|(user, _)| !user.is_empty()).map(|(user, _)| user.to_owned()),
            _ => None,
        })
    }
}

/// A host in brackets (IPv6) contains colons.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => host,
    }
}

fn split(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(before, behind)| (before, Some(behind)))
}
