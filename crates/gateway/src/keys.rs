//! API keys: the clients that may post.
//!
//! A key is sent in the header `x-api-key`, as in AWS API Gateway, or as a bearer token. Keys are stored as hashes, and a key is
//! compared with all of them in constant time. So the time of a refusal reveals nothing about a key. Keys are never printed.

use std::fmt;
use std::fs;
use std::path::Path;

use axum::http::{HeaderMap, StatusCode, header};
use subtle::{Choice, ConstantTimeEq as _};

use super::answer::{Failure, UNAUTHENTICATED};
use pinsql_base::error::{Error, ErrorCode, Result};

const API_KEY: &str = "x-api-key";

/// A shorter key can be guessed.
const KEY_CHARS_MIN: usize = 16;

/// The accepted API keys, as hashes. The default has none, and accepts every request.
#[derive(Clone, Default)]
pub struct ApiKeys {
    hashes: Vec<[u8; 32]>,
}

impl fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} keys", self.hashes.len())
    }
}

impl ApiKeys {
    /// Reads a file with one key per line. Empty lines and lines that begin with `#` are ignored.
    ///
    /// Returns an error if the file cannot be read, a key is not valid, or there is no key.
    pub fn read(file: &Path) -> Result<Self> {
        let text = fs::read_to_string(file).map_err(|error| {
            Error::new(ErrorCode::InvalidCredentials, format!("cannot read the API keys in {}", file.display()))
                .caused_by(error)
        })?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let keys = Self::of(lines)?;
        match keys.is_empty() {
            true => {
                Err(Error::new(ErrorCode::InvalidCredentials, format!("there is no API key in {}", file.display()))
                    .with_hint("the file has one key per line; to accept every client, leave --api-keys out"))
            }
            false => Ok(keys),
        }
    }

    /// Parses keys that are separated by commas. Returns an error if a key is not valid.
    pub fn parse(text: &str) -> Result<Self> {
        Self::of(text.split(',').map(str::trim).filter(|key| !key.is_empty()))
    }

    fn of<'a>(keys: impl Iterator<Item = &'a str>) -> Result<Self> {
        let mut hashes = Vec::new();
        for (number, key) in (1..).zip(keys) {
            if key.chars().count() < KEY_CHARS_MIN || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
                let message = format!(
                    "API key {number} is not valid: a key has at least {KEY_CHARS_MIN} characters, all printable ASCII, no spaces"
                );
                return Err(Error::new(ErrorCode::InvalidCredentials, message)
                    .with_hint("`openssl rand -hex 20` prints a valid key"));
            }
            hashes.push(hash(key));
        }
        Ok(Self { hashes })
    }

    /// The keys of both.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.hashes.extend(others.hashes);
        self
    }

    /// True if there is no key, so every request is accepted.
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Accepts a request by its headers, or returns the answer 401.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), Failure> {
        if self.is_empty() {
            return Ok(());
        }
        let refused = |message: &str| Failure::new(StatusCode::UNAUTHORIZED, message).with_code(UNAUTHENTICATED);
        let given = given(headers)
            .ok_or_else(|| refused("an API key is required: in the header x-api-key, or as authorization: Bearer"))?;
        let given = hash(given);
        let known = self.hashes.iter().fold(Choice::from(0), |known, key| known | key.ct_eq(&given));
        if bool::from(known) { Ok(()) } else { Err(refused("the API key is not valid")) }
    }
}

fn given(headers: &HeaderMap) -> Option<&str> {
    if let Some(key) = headers.get(API_KEY) {
        return key.to_str().ok().map(str::trim);
    }
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn hash(key: &str) -> [u8; 32] {
    *blake3::hash(key.as_bytes()).as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0123456789abcdef";
    const OTHER: &str = "fedcba9876543210";

    fn check(keys: &ApiKeys, name: &'static str, value: &str) -> Result<(), String> {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        keys.check(&headers).map_err(|failure| failure.parts().2.to_owned())
    }

    #[test]
    fn only_valid_keys_are_accepted() {
        let keys = ApiKeys::parse(&format!("{KEY}, {OTHER},")).unwrap();
        for key in [KEY, OTHER] {
            assert_eq!(check(&keys, "x-api-key", key), Ok(()));
            assert_eq!(check(&keys, "authorization", &format!("bearer {key}")), Ok(()));
        }
        let unknown = Err("the API key is not valid".to_owned());
        assert_eq!(check(&keys, "x-api-key", &KEY[..15]), unknown);
        assert_eq!(check(&keys, "x-api-key", ""), unknown);
        assert_eq!(check(&keys, "authorization", &format!("Bearer {KEY}x")), unknown);
        let missing = Err("an API key is required: in the header x-api-key, or as authorization: Bearer".to_owned());
        assert_eq!(check(&keys, "authorization", &format!("Basic {KEY}")), missing);
        assert_eq!(check(&keys, "accept", KEY), missing);
        assert_eq!(check(&ApiKeys::default(), "accept", "*/*"), Ok(()));
        assert_eq!(format!("{keys:?}"), "2 keys");
    }

    #[test]
    fn a_file_has_a_key_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keys");
        fs::write(&file, format!("# of the emulator\n{KEY}\r\n\n  {OTHER}  \n")).unwrap();
        assert_eq!(ApiKeys::read(&file).unwrap().hashes.len(), 2);
        fs::write(&file, "# none\n").unwrap();
        let none = ApiKeys::read(&file).unwrap_err();
        assert_eq!(none.message, format!("there is no API key in {}", file.display()));
        fs::write(&file, "hunter2\n").unwrap();
        let short = ApiKeys::read(&file).unwrap_err();
        assert!(short.message.starts_with("API key 1 is not valid") && !format!("{short:?}").contains("hunter2"));
        assert!(ApiKeys::read(&folder.path().join("absent")).is_err());
    }
}
