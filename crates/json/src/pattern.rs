//! Spark's datetime patterns (`timestampFormat`, `dateFormat`), for reading.
//!
//! The letters are those of Spark's documentation that need no table of languages, calendars or zones: `y M L d H k h K m s S a
//! X x Z z V O`, text in single quotes, and optional sections in brackets. Any other letter is an error of the pattern. An
//! offset is read in all of its forms, whichever letter the pattern has.

use super::temporal::{Parts, Reader};
use pinsql_base::error::{Error, ErrorCode, Result};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
/// The number of letters of a short month name.
const MONTH_SHORT: usize = 3;

#[derive(Debug)]
pub(super) struct Pattern(Vec<Item>);

#[derive(Debug)]
enum Item {
    Number {
        part: Part,
        digits_min: usize,
        digits_max: usize,
    },
    /// Two digits of a year from 2000 to 2099.
    ShortYear,
    MonthName {
        short: bool,
    },
    Fraction {
        digits_max: usize,
    },
    HalfOfDay,
    Offset,
    Zone,
    Text(String),
    /// An optional section: it matches as a whole or not at all.
    Optional(Vec<Item>),
}

#[derive(Debug, Clone, Copy)]
enum Part {
    Year,
    Month,
    Day,
    Hour,
    /// From 1 to 24.
    HourFromOne,
    /// From 1 to 12.
    HalfHour,
    /// From 0 to 11.
    HalfHourFromZero,
    Minute,
    Second,
}

impl Pattern {
    pub(super) fn new(pattern: &str) -> Result<Self> {
        let mut characters = pattern.chars().peekable();
        // The open sections, outermost first; the first is the pattern itself.
        let mut open = vec![Vec::new()];
        while let Some(letter) = characters.next() {
            let item = match letter {
                '[' => {
                    open.push(Vec::new());
                    continue;
                }
                ']' => {
                    let section = open.pop().unwrap_or_default();
                    if open.is_empty() {
                        return Err(refuse(pattern, "a `]` closes no `[`"));
                    }
                    Item::Optional(section)
                }
                '\'' => Item::Text(quoted(&mut characters).ok_or_else(|| refuse(pattern, "a quote is not closed"))?),
                'a'..='z' | 'A'..='Z' => {
                    let mut count = 1;
                    while characters.next_if_eq(&letter).is_some() {
                        count += 1;
                    }
                    Item::new(letter, count).ok_or_else(|| {
                        let run = letter.to_string().repeat(count);
                        refuse(pattern, &format!("`{run}` is not a part that can be read"))
                    })?
                }
                '#' | '{' | '}' => return Err(refuse(pattern, &format!("`{letter}` must stand in single quotes"))),
                other => Item::Text(other.to_string()),
            };
            if let Some(section) = open.last_mut() {
                section.push(item);
            }
        }
        match (open.pop(), open.is_empty()) {
            (Some(mut items), true) => {
                fix_widths(&mut items);
                Ok(Self(items))
            }
            _ => Err(refuse(pattern, "a `[` is not closed")),
        }
    }

    /// Returns None if the text does not match. A part that is not in the pattern is that of 1970-01-01T00:00Z.
    pub(super) fn parse(&self, text: &[u8]) -> Option<Parts> {
        let mut state = State::default();
        let mut reader = Reader { text };
        read_all(&self.0, &mut reader, &mut state)?;
        reader.text.is_empty().then(|| state.parts()).flatten()
    }
}

/// Text up to the closing quote. Two quotes are one quote, also outside a text.
fn quoted(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<String> {
    if characters.next_if_eq(&'\'').is_some() {
        return Some("'".to_owned());
    }
    let mut text = String::new();
    loop {
        match characters.next()? {
            '\'' if characters.next_if_eq(&'\'').is_none() => return Some(text),
            character => text.push(character),
        }
    }
}

fn refuse(pattern: &str, reason: &str) -> Error {
    Error::new(ErrorCode::InvalidPattern, format!("the datetime pattern `{pattern}` cannot be used: {reason}"))
        .with_hint("patterns are Spark's, for example `yyyy-MM-dd HH:mm:ss` or `MM/dd/yyyy, HH:mm:ss`")
}

impl Item {
    fn new(letter: char, count: usize) -> Option<Self> {
        let number = |part| (count <= 2).then_some(Self::Number { part, digits_min: count, digits_max: 2 });
        match (letter, count) {
            ('y', 2) => Some(Self::ShortYear),
            ('y', 1..=6) => Some(Self::Number { part: Part::Year, digits_min: count, digits_max: 6.min(count.max(4)) }),
            ('M' | 'L', 3) => Some(Self::MonthName { short: true }),
            ('M' | 'L', 4) => Some(Self::MonthName { short: false }),
            ('M' | 'L', _) => number(Part::Month),
            ('d', _) => number(Part::Day),
            ('H', _) => number(Part::Hour),
            ('k', _) => number(Part::HourFromOne),
            ('h', _) => number(Part::HalfHour),
            ('K', _) => number(Part::HalfHourFromZero),
            ('m', _) => number(Part::Minute),
            ('s', _) => number(Part::Second),
            ('S', 1..=9) => Some(Self::Fraction { digits_max: count }),
            ('a', 1) => Some(Self::HalfOfDay),
            ('X' | 'x' | 'Z', 1..=5) => Some(Self::Offset),
            ('O', 1 | 4) | ('z', 1..=4) | ('V', 2) => Some(Self::Zone),
            _ => None,
        }
    }
}

/// A number directly before another number has a fixed number of digits: `yyyyMMdd` reads `20240229`.
fn fix_widths(items: &mut [Item]) {
    for index in 0..items.len() {
        let followed =
            matches!(items.get(index + 1), Some(Item::Number { .. } | Item::ShortYear | Item::Fraction { .. }));
        match &mut items[index] {
            Item::Number { digits_min, digits_max, .. } if followed => *digits_max = *digits_min,
            Item::Optional(section) => fix_widths(section),
            _ => {}
        }
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct State {
    parts: Parts,
    half_hour: Option<i64>,
    afternoon: bool,
}

impl State {
    fn parts(self) -> Option<Parts> {
        let mut parts = self.parts;
        if let Some(hour) = self.half_hour {
            parts.hour = hour + if self.afternoon { 12 } else { 0 };
        }
        parts.microseconds().map(|_| parts)
    }

    fn set(&mut self, part: Part, value: i64) -> Option<()> {
        let (place, low, high) = match part {
            Part::Year => (&mut self.parts.year, 0, 999_999),
            Part::Month => (&mut self.parts.month, 1, 12),
            Part::Day => (&mut self.parts.day, 1, 31),
            Part::Hour => (&mut self.parts.hour, 0, 23),
            Part::HourFromOne => (&mut self.parts.hour, 1, 24),
            Part::HalfHour => (self.half_hour.insert(0), 1, 12),
            Part::HalfHourFromZero => (self.half_hour.insert(0), 0, 11),
            Part::Minute => (&mut self.parts.minute, 0, 59),
            Part::Second => (&mut self.parts.second, 0, 59),
        };
        *place = match part {
            Part::HourFromOne => value % 24,
            Part::HalfHour => value % 12,
            _ => value,
        };
        (low..=high).contains(&value).then_some(())
    }
}

fn read_all(items: &[Item], reader: &mut Reader<'_>, state: &mut State) -> Option<()> {
    for item in items {
        read_one(item, reader, state)?;
    }
    Some(())
}

fn read_one(item: &Item, reader: &mut Reader<'_>, state: &mut State) -> Option<()> {
    match item {
        Item::Number { part, digits_min, digits_max } => {
            let value = reader.number(*digits_min, *digits_max)?;
            state.set(*part, value)?;
        }
        Item::ShortYear => state.parts.year = 2000 + reader.number(2, 2)?,
        Item::MonthName { short } => {
            let letters = |month: &&str| if *short { MONTH_SHORT } else { month.len() };
            let found = MONTHS.iter().position(|month| take_text(reader, &month[..letters(month)]).is_some())?;
            state.parts.month = found as i64 + 1;
        }
        Item::Fraction { digits_max } => {
            let digits = reader.text.iter().take(*digits_max).take_while(|byte| byte.is_ascii_digit()).count();
            let (fraction, rest) = reader.text.split_at(digits);
            state.parts.microsecond = Reader { text: (!fraction.is_empty()).then_some(fraction)? }.fraction();
            reader.text = rest;
        }
        Item::HalfOfDay => {
            state.afternoon = take_text(reader, "PM").is_some();
            if !state.afternoon {
                take_text(reader, "AM")?;
            }
        }
        Item::Offset => state.parts.offset_seconds = if reader.take(b'Z') { 0 } else { reader.offset()? },
        Item::Zone => state.parts.offset_seconds = (!reader.text.is_empty()).then(|| reader.zone()).flatten()?,
        Item::Text(text) => take_text(reader, text)?,
        Item::Optional(section) => {
            let before = (reader.text, *state);
            if read_all(section, reader, state).is_none() {
                (reader.text, *state) = before;
            }
        }
    }
    Some(())
}

/// The comparison ignores case, as in Spark.
fn take_text(reader: &mut Reader<'_>, text: &str) -> Option<()> {
    let (found, rest) = reader.text.split_at_checked(text.len())?;
    if found.eq_ignore_ascii_case(text.as_bytes()) {
        reader.text = rest;
        return Some(());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_parse_as_in_spark() {
        let check = |pattern: &str, text: &str, expected: Option<i64>| {
            let found = Pattern::new(pattern).unwrap().parse(text.as_bytes()).and_then(|parts| parts.microseconds());
            assert_eq!(found, expected.map(|seconds| seconds * 1_000_000), "{pattern}: {text}");
        };
        let moment = Some(1_709_210_096);
        check("yyyy-MM-dd HH:mm:ss", "2024-02-29 12:34:56", moment);
        check("yyyy-MM-dd HH:mm:ss", "2024-02-29T12:34:56", None);
        check("yyyy-MM-dd HH:mm:ss", "2024-2-29 12:34:56", None);
        check("yyyy-MM-dd HH:mm:ss", "2024-02-29 12:34:56 ", None);
        check("MM/dd/yyyy, HH:mm:ss", "02/29/2024, 12:34:56", moment);
        check("M/d/y H:m:s", "2/29/2024 12:34:56", moment);
        check("yyyyMMddHHmmss", "20240229123456", moment);
        check("dd MMM yyyy HH:mm:ss", "29 feb 2024 12:34:56", moment);
        check("MMMM d, yyyy 'at' h:mm:ss a", "February 29, 2024 at 12:34:56 pm", moment);
        check("MM/dd/yy hh:mm:ss a", "02/29/24 12:34:56 PM", moment);
        check("MM/dd/yy hh:mm:ss a", "02/29/24 12:00:00 AM", Some(1_709_164_800));
        check("MM/dd/yy hh:mm:ss a", "02/29/24 13:00:00 AM", None);
        check("yyyy-MM-dd'T'HH:mm:ss[.SSSSSS][XXX]", "2024-02-29T12:34:56", moment);
        check("yyyy-MM-dd'T'HH:mm:ss[.SSSSSS][XXX]", "2024-02-29T13:34:56.000+01:00", moment);
        check("yyyy-MM-dd'T'HH:mm:ssX", "2024-02-29T12:34:56Z", moment);
        check("yyyy-MM-dd HH:mm:ss z", "2024-02-29 12:34:56 UTC", moment);
        check("yyyy-MM-dd HH:mm:ss VV", "2024-02-29 12:34:56 Europe/Berlin", None);
        check("HH 'o''clock'", "07 o'clock", Some(25_200));
        check("yyyy", "2024", Some(1_704_067_200));
        check("yyyy-MM-dd", "2023-02-29", None);
        check("yyyy-MM-dd", "", None);
    }

    #[test]
    fn unsupported_patterns_are_an_error() {
        for pattern in
            ["EEE yyyy", "yyyy-DDD", "QQQ", "yyyy-MM-dd'T", "[yyyy", "yyyy]", "MMMMM", "hhh", "{yyyy}", "SSSSSSSSSS"]
        {
            let error = Pattern::new(pattern).unwrap_err();
            assert!(error.message.contains(pattern), "{error}");
        }
    }
}
