//! Time zones by name or by offset, as in Java's `ZoneId` and in Spark: `Europe/Berlin`, `UTC`, `Z`, `+05:30`, `GMT+2`,
//! and the short names that Spark still accepts.

use chrono::{Duration, FixedOffset, LocalResult, NaiveDateTime, Offset, TimeZone, Utc};
use chrono_tz::Tz;
use datafusion::common::Result;

use pinsql_base::engine_error::external;
use pinsql_base::error::{Error, ErrorCode};

/// Those of Java's `ZoneId.SHORT_IDS` that the time zone database does not have, or has with another meaning.
const SHORT_NAMES: [(&str, &str); 28] = [
    ("ACT", "Australia/Darwin"),
    ("AET", "Australia/Sydney"),
    ("AGT", "America/Argentina/Buenos_Aires"),
    ("ART", "Africa/Cairo"),
    ("AST", "America/Anchorage"),
    ("BET", "America/Sao_Paulo"),
    ("BST", "Asia/Dhaka"),
    ("CAT", "Africa/Harare"),
    ("CNT", "America/St_Johns"),
    ("CST", "America/Chicago"),
    ("CTT", "Asia/Shanghai"),
    ("EAT", "Africa/Addis_Ababa"),
    ("ECT", "Europe/Paris"),
    ("EST", "-05:00"),
    ("HST", "-10:00"),
    ("IET", "America/Indiana/Indianapolis"),
    ("IST", "Asia/Kolkata"),
    ("JST", "Asia/Tokyo"),
    ("MIT", "Pacific/Apia"),
    ("MST", "-07:00"),
    ("NET", "Asia/Yerevan"),
    ("NST", "Pacific/Auckland"),
    ("PLT", "Asia/Karachi"),
    ("PNT", "America/Phoenix"),
    ("PRT", "America/Puerto_Rico"),
    ("PST", "America/Los_Angeles"),
    ("SST", "Pacific/Guadalcanal"),
    ("VST", "Asia/Ho_Chi_Minh"),
];
const OFFSET_HOURS_MAX: i32 = 18;
/// The largest gap by which clocks were ever put forward.
const LONGEST_GAP_HOURS: i64 = 24;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Zone {
    Named(Tz),
    Fixed(FixedOffset),
}

impl Zone {
    pub(crate) fn parse(name: &str) -> Result<Self> {
        let long = SHORT_NAMES.iter().find(|(short, _)| *short == name).map_or(name, |(_, long)| long);
        Self::known(long).ok_or_else(|| {
            external(
                Error::new(ErrorCode::InvalidValue, format!("`{name}` is not a time zone"))
                    .with_hint("a zone is a name such as Europe/Berlin, or an offset such as +05:30"),
            )
        })
    }

    fn known(name: &str) -> Option<Self> {
        if name == "Z" {
            return Some(Self::Fixed(Utc.fix()));
        }
        if let Ok(zone) = name.parse() {
            return Some(Self::Named(zone));
        }
        let offset = ["UTC", "GMT", "UT"].iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name);
        let (sign, digits) = match offset.split_at_checked(1)? {
            ("+", digits) => (1, digits),
            ("-", digits) => (-1, digits),
            _ => return None,
        };
        let mut parts = digits.split(':').map(|part| part.parse::<i32>().ok().filter(|_| part.len() <= 2));
        let (hours, minutes, seconds) =
            (parts.next()??, parts.next().unwrap_or(Some(0))?, parts.next().unwrap_or(Some(0))?);
        let is_time = hours <= OFFSET_HOURS_MAX && minutes < 60 && seconds < 60 && parts.next().is_none();
        is_time.then(|| FixedOffset::east_opt(sign * (hours * 3600 + minutes * 60 + seconds)))?.map(Self::Fixed)
    }

    /// Converts a time in UTC to the local time of the zone.
    pub(crate) fn local(self, utc: NaiveDateTime) -> NaiveDateTime {
        match self {
            Self::Named(zone) => utc + zone.offset_from_utc_datetime(&utc).fix(),
            Self::Fixed(offset) => utc + offset,
        }
    }

    /// Converts a local time of the zone to UTC. For an ambiguous time, the first one. A time in a gap is read as if the clocks
    /// had not been put forward.
    pub(crate) fn to_utc(self, local: NaiveDateTime) -> NaiveDateTime {
        match self {
            Self::Fixed(offset) => local - offset,
            Self::Named(zone) => match zone.offset_from_local_datetime(&local) {
                LocalResult::Single(offset) | LocalResult::Ambiguous(offset, _) => local - offset.fix(),
                LocalResult::None => {
                    let before = local - Duration::hours(LONGEST_GAP_HOURS);
                    local - zone.offset_from_utc_datetime(&before).fix()
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> NaiveDateTime {
        text.parse().unwrap()
    }

    #[test]
    fn clock_changes_are_handled_as_in_java() {
        let berlin = Zone::parse("Europe/Berlin").unwrap();
        assert_eq!(berlin.local(at("2026-03-29T01:00:00")), at("2026-03-29T03:00:00"));
        assert_eq!(berlin.to_utc(at("2026-03-29T02:30:00")), at("2026-03-29T01:30:00"));
        assert_eq!(berlin.to_utc(at("2026-10-25T02:30:00")), at("2026-10-25T00:30:00"));
    }

    #[test]
    fn zones_have_names_and_offsets() {
        for name in ["UTC", "Z", "GMT+2", "UTC-03:30", "+05:30", "-8", "EST", "PST", "America/New_York", "Etc/GMT-3"] {
            assert!(Zone::parse(name).is_ok(), "{name}");
        }
        for name in ["", "Nowhere/Land", "+25:00", "+1:2:3:4", "GMT2", "x"] {
            assert!(Zone::parse(name).is_err(), "{name}");
        }
    }
}
