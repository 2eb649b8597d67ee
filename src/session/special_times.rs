//! The words `epoch`, `now`, `today`, `tomorrow` and `yesterday` as constants that are cast to DATE or TIMESTAMP. In a column,
//! they are no dates.

use arrow::datatypes::DataType;
use chrono::{DateTime, Days, NaiveTime, Utc};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Expr;

use pinsql_functions::times::to_timestamp::timestamp_type;

/// The value of a cast of such a word at the time `now`. None for any other cast.
pub(super) fn literal(operand: &Expr, target: &DataType, now: DateTime<Utc>) -> Option<Expr> {
    let Expr::Literal(value, _) = operand else { return None };
    let word = value.try_as_str()??.trim().to_lowercase();
    let midnight = |moment: DateTime<Utc>| moment.date_naive().and_time(NaiveTime::MIN).and_utc();
    let moment = match word.as_str() {
        "epoch" => DateTime::UNIX_EPOCH,
        "now" => now,
        "today" => midnight(now),
        "tomorrow" => midnight(now.checked_add_days(Days::new(1))?),
        "yesterday" => midnight(now.checked_sub_days(Days::new(1))?),
        _ => return None,
    };
    let value = match target {
        DataType::Date32 => {
            let days = moment.date_naive().signed_duration_since(DateTime::UNIX_EPOCH.date_naive()).num_days();
            ScalarValue::Date32(Some(i32::try_from(days).ok()?))
        }
        target if *target == timestamp_type() => {
            ScalarValue::TimestampMicrosecond(Some(moment.timestamp_micros()), Some("UTC".into()))
        }
        _ => return None,
    };
    Some(Expr::Literal(value, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_times_only_as_constants() {
        let now = DateTime::from_timestamp(86_400 * 10 + 3_600, 0).unwrap();
        let day = |word: &str| literal(&datafusion::logical_expr::lit(word), &DataType::Date32, now);
        for (word, days) in [("epoch", 0), (" NOW ", 10), ("today", 10), ("tomorrow", 11), ("yesterday", 9)] {
            assert_eq!(day(word), Some(Expr::Literal(ScalarValue::Date32(Some(days)), None)), "{word}");
        }
        assert_eq!(day("2024-01-01"), None);
        assert_eq!(literal(&datafusion::logical_expr::col("now"), &DataType::Date32, now), None);
    }
}
