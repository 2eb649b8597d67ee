//! Parsers for durations and sizes: `200ms`, `5m`, `64mb`. Fractions and negative numbers are absent.

use std::time::Duration;

/// Parses `400ms`, `10s`, `2m` (or `2min`) or `1h`. Returns None for any other text; the unit is required.
pub fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split_number(text)?;
    let milliseconds: u64 = match unit.as_str() {
        "ms" => 1,
        "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    Some(Duration::from_millis(number.checked_mul(milliseconds)?))
}

/// Parses `10mb`, `2gb`, `512k` or `4096` to bytes. Units are powers of 1024. Returns None for any other text.
pub fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = split_number(text)?;
    let unit_bytes: u64 = match unit.as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1 << 10,
        "m" | "mb" => 1 << 20,
        "g" | "gb" => 1 << 30,
        "t" | "tb" => 1 << 40,
        _ => return None,
    };
    number.checked_mul(unit_bytes)
}

fn split_number(text: &str) -> Option<(u64, String)> {
    let text = text.trim();
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit.trim().to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_known_unit() {
        assert_eq!(duration("200ms"), Some(Duration::from_millis(200)));
        assert_eq!(duration("5 m"), Some(Duration::from_secs(300)));
        assert_eq!((duration("5"), duration("s"), duration("5 days")), (None, None, None));
        assert_eq!((bytes("64MB"), bytes("4096"), bytes("10 g")), (Some(64 << 20), Some(4_096), Some(10 << 30)));
        assert_eq!((bytes("mb"), bytes("1 pb"), bytes("-1")), (None, None, None));
    }
}
