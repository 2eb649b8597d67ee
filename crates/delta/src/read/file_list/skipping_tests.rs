//! Skipping files by statistics, compared with the evaluation of the condition: over values at the edges of their types, with the
//! statistics of pinsql, those of other writers, and none.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float32Type, Float64Type, TimeUnit};
use arrow::temporal_conversions::{date32_to_datetime, timestamp_us_to_datetime};
use datafusion::common::DFSchema;
use datafusion::logical_expr::{Expr, Operator, binary_expr, cast, col, lit, not};
use datafusion::prelude::{SessionConfig, SessionContext};
use parquet::arrow::ArrowWriter;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::json;

use super::*;
use crate::spec::float_bounds::{FloatColumns, without_statistics};
use crate::spec::statistics::{IndexedColumns, to_json};
use crate::write::data_file::{ROW_GROUP_BYTES_MAX, writer_properties};

const ROUNDS: u64 = 150;
const CONDITIONS: usize = 12;

fn timestamp(zone: Option<&str>) -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into))
}

/// The columns of the table. The last two are partition columns.
fn schema() -> SchemaRef {
    let columns = [
        ("i", DataType::Int32),
        ("l", DataType::Int64),
        ("s", DataType::Utf8),
        ("d", DataType::Date32),
        ("t", timestamp(Some("UTC"))),
        ("n", timestamp(None)),
        ("f", DataType::Float64),
        ("g", DataType::Float32),
        ("m", DataType::Decimal128(20, 2)),
        ("b", DataType::Boolean),
        ("pf", DataType::Float64),
        ("ps", DataType::Utf8),
    ];
    Arc::new(Schema::new(columns.map(|(name, data_type)| Field::new(name, data_type, true)).to_vec()))
}

/// Values at the edges of a type, NULL among them.
fn edges(data_type: &DataType) -> Vec<ScalarValue> {
    let long = "a".repeat(40);
    let micros = [
        i64::MIN,
        -62_135_596_800_000_000,
        -1_001,
        -1,
        0,
        1,
        999,
        1_000,
        1_577_836_800_123_456,
        253_402_300_799_999_999,
        253_402_300_800_000_000,
        i64::MAX,
    ];
    let floats = [
        f64::NEG_INFINITY,
        f64::MIN,
        -1.5,
        -0.0,
        0.0,
        f64::MIN_POSITIVE,
        1.5,
        9_007_199_254_740_992.0,
        f64::INFINITY,
        f64::NAN,
    ];
    let mut edges: Vec<ScalarValue> = match data_type {
        DataType::Int32 => [i32::MIN, -1, 0, 1, i32::MAX].map(ScalarValue::from).to_vec(),
        DataType::Int64 => {
            let values = [i64::MIN, -1, 0, 1, 9_007_199_254_740_992, 9_007_199_254_740_993, i64::MAX];
            values.map(ScalarValue::from).to_vec()
        }
        DataType::Utf8 => {
            let longer = format!("{long}b");
            let texts = ["", "A", "a", "ab", "a_b", "%", "é", "\u{7f}", "\u{ffff}", "\u{10000}", "\u{10ffff}"];
            texts.into_iter().chain([long.as_str(), longer.as_str()]).map(ScalarValue::from).collect()
        }
        DataType::Date32 => [i32::MIN, -800_000, -719_162, -1, 0, 1, 2_932_896, 2_932_897, i32::MAX]
            .map(|days| ScalarValue::Date32(Some(days)))
            .to_vec(),
        DataType::Timestamp(_, zone) => {
            micros.map(|micros| ScalarValue::TimestampMicrosecond(Some(micros), zone.clone())).to_vec()
        }
        DataType::Float64 => floats.map(ScalarValue::from).to_vec(),
        DataType::Float32 => floats.map(|value| ScalarValue::from(value as f32)).to_vec(),
        DataType::Decimal128(precision, scale) => {
            [-99_999_999_999_999_999_999, -1, 0, 1, 150, 12_345_678_901_234_567_891, 99_999_999_999_999_999_999]
                .map(|value| ScalarValue::Decimal128(Some(value), *precision, *scale))
                .to_vec()
        }
        DataType::Boolean => [true, false].map(ScalarValue::from).to_vec(),
        other => panic!("{other}"),
    };
    edges.push(ScalarValue::try_from(data_type).unwrap());
    edges
}

/// A file with up to three rows. Its partition columns have one value.
fn rows(rng: &mut StdRng) -> RecordBatch {
    let count = rng.random_range(1..4);
    let schema = schema();
    let columns = schema.fields().iter().map(|field| {
        let edges = edges(field.data_type());
        let first = edges.choose(rng).unwrap().clone();
        let mut value = || match field.name().starts_with('p') {
            // The log has no empty texts.
            true if first == ScalarValue::from("") => ScalarValue::Utf8(None),
            true => first.clone(),
            // Often the same value in all rows.
            false if rng.random_bool(0.3) => first.clone(),
            false => edges.choose(rng).unwrap().clone(),
        };
        let values: Vec<ScalarValue> = (0..count).map(|_| value()).collect();
        ScalarValue::iter_to_array(values).unwrap()
    });
    let columns: Vec<ArrayRef> = columns.collect();
    RecordBatch::try_new(schema, columns).unwrap()
}

/// The statistics that pinsql writes.
fn own(batch: &RecordBatch) -> String {
    let batch = batch.project(&(0..10).collect::<Vec<_>>()).unwrap();
    let properties = without_statistics(writer_properties(ROW_GROUP_BYTES_MAX), batch.schema_ref()).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    let mut floats = FloatColumns::default();
    floats.note(&batch);
    writer.write(&batch).unwrap();
    to_json(&writer.close().unwrap(), &IndexedColumns::DEFAULT, &floats)
}

/// The statistics of other writers: cut texts and times, times of another zone, decimals as JSON numbers, bounds without NaN.
fn foreign(batch: &RecordBatch, rng: &mut StdRng) -> String {
    let (mut minimums, mut maximums, mut nulls) = (Map::new(), Map::new(), Map::new());
    for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()).take(10) {
        nulls.insert(field.name().clone(), json!(column.null_count()));
        let values = (0..column.len()).map(|row| ScalarValue::try_from_array(column, row).unwrap());
        let mut values: Vec<ScalarValue> = values.filter(|value| !value.is_null() && !is_nan(value)).collect();
        values.sort_by(|left, right| left.partial_cmp(right).unwrap());
        let cut = rng.random_range(1..33);
        let is_local = rng.random_bool(0.5);
        let text =
            |value: Option<&ScalarValue>, is_maximum| value.and_then(|value| bound(value, cut, is_local, is_maximum));
        if let Some(value) = text(values.first(), false) {
            minimums.insert(field.name().clone(), value);
        }
        if let Some(value) = text(values.last(), true) {
            maximums.insert(field.name().clone(), value);
        }
    }
    json!({"numRecords": batch.num_rows(), "minValues": minimums, "maxValues": maximums, "nullCount": nulls})
        .to_string()
}

fn is_nan(value: &ScalarValue) -> bool {
    matches!(value, ScalarValue::Float64(Some(value)) if value.is_nan())
        || matches!(value, ScalarValue::Float32(Some(value)) if value.is_nan())
}

fn bound(value: &ScalarValue, cut: usize, is_local: bool, is_maximum: bool) -> Option<Value> {
    Some(match value {
        ScalarValue::Int32(Some(value)) => json!(value),
        ScalarValue::Int64(Some(value)) => json!(value),
        ScalarValue::Float64(Some(value)) => json!(value),
        ScalarValue::Float32(Some(value)) => json!(value),
        ScalarValue::Decimal128(Some(value), _, scale) => json!(*value as f64 / 10_f64.powi((*scale).into())),
        ScalarValue::Date32(Some(days)) => json!(date32_to_datetime(*days)?.format("%Y-%m-%d").to_string()),
        ScalarValue::TimestampMicrosecond(Some(micros), zone) => {
            let micros = micros.div_euclid(1_000).checked_mul(1_000)?;
            let (shift, end) = match zone {
                None => (0, ""),
                Some(_) if is_local => (7_200_000_000, "+02:00"),
                Some(_) => (0, "Z"),
            };
            let moment = timestamp_us_to_datetime(micros.checked_add(shift)?)?;
            json!(format!("{}{end}", moment.format("%Y-%m-%dT%H:%M:%S%.3f")))
        }
        ScalarValue::Utf8(Some(text)) => {
            let part: String = text.chars().take(cut).collect();
            let is_cut = part.len() < text.len();
            json!(if is_cut && is_maximum { format!("{part}\u{10ffff}") } else { part })
        }
        _ => return None,
    })
}

/// A condition over one or two columns.
fn condition(rng: &mut StdRng, depth: usize) -> Expr {
    if depth > 0 && rng.random_bool(0.4) {
        let (left, right) = (condition(rng, depth - 1), condition(rng, depth - 1));
        return match rng.random_range(0..3) {
            0 => left.and(right),
            1 => left.or(right),
            _ => not(left),
        };
    }
    let schema = schema();
    let field = schema.fields().choose(rng).unwrap();
    let edges = edges(field.data_type());
    let mut value = || lit(edges.choose(rng).unwrap().clone());
    let (first, second) = (value(), value());
    let column = col(field.name());
    let other = |data_type: DataType| cast(col(field.name()), data_type);
    match rng.random_range(0..17) {
        0 => column.eq(first),
        1 => column.not_eq(first),
        2 => column.lt(first),
        3 => column.lt_eq(first),
        4 => column.gt(first),
        5 => column.gt_eq(first),
        6 => column.in_list(vec![first, second], false),
        7 => column.in_list(vec![first, second], true),
        8 => column.is_null(),
        9 => column.is_not_null(),
        10 => column.between(first, second),
        11 if field.data_type() == &DataType::Utf8 => {
            let pattern = lit(*["a%", "%", "a\\_%", "_b", "\u{10ffff}%", "aaaa%"].choose(rng).unwrap());
            if rng.random_bool(0.5) { column.like(pattern) } else { column.not_like(pattern) }
        }
        12 if matches!(field.data_type(), DataType::Timestamp(..)) => {
            let days = lit(ScalarValue::Date32(Some(*[-719_162, -1, 0, 1, 18_262].choose(rng).unwrap())));
            if rng.random_bool(0.5) { other(DataType::Date32).eq(days) } else { other(DataType::Date32).gt(days) }
        }
        13 if field.data_type().is_numeric() => {
            let number = lit(*[-0.0, 0.0, 1.5, 9_007_199_254_740_992.0, f64::NAN].choose(rng).unwrap());
            match rng.random_range(0..3) {
                0 => other(DataType::Float64).eq(number),
                1 => other(DataType::Float64).gt(number),
                _ => other(DataType::Float64).not_eq(number),
            }
        }
        14 if field.data_type().is_integer() => other(DataType::Boolean).eq(lit(rng.random_bool(0.5))),
        15 => binary_expr(column, Operator::IsDistinctFrom, first),
        16 => binary_expr(column, Operator::IsNotDistinctFrom, first),
        _ => first.lt_eq(column),
    }
}

/// SQL treats -0.0 as 0.0, and Arrow does not.
fn with_one_zero(batch: &RecordBatch) -> RecordBatch {
    let one = |column: &ArrayRef| -> ArrayRef {
        match column.data_type() {
            DataType::Float64 => {
                Arc::new(column.as_primitive::<Float64Type>().unary::<_, Float64Type>(|value| value + 0.0))
            }
            DataType::Float32 => {
                Arc::new(column.as_primitive::<Float32Type>().unary::<_, Float32Type>(|value| value + 0.0))
            }
            _ => Arc::clone(column),
        }
    };
    RecordBatch::try_new(batch.schema(), batch.columns().iter().map(one).collect()).unwrap()
}

fn log_text(value: &ScalarValue) -> Option<String> {
    match value {
        ScalarValue::Float64(Some(value)) if value.is_infinite() => {
            Some(if *value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned())
        }
        ScalarValue::Float64(value) => value.map(|value| format!("{value:?}")),
        ScalarValue::Utf8(value) => value.clone(),
        other => panic!("{other}"),
    }
}

#[test]
fn no_file_with_a_matching_row_is_skipped() {
    let config = SessionConfig::new().set_str("datafusion.execution.time_zone", "UTC");
    let state = SessionContext::new_with_config(config).state();
    let columns = StoredColumns::plain(&schema(), &["pf".to_owned(), "ps".to_owned()]);
    let (mut matching, mut skipped) = (0, 0);
    for seed in 0..ROUNDS {
        let mut rng = StdRng::seed_from_u64(seed);
        let batches: Vec<RecordBatch> = (0..4).map(|_| rows(&mut rng)).collect();
        let texts: Vec<Option<String>> = batches
            .iter()
            .map(|batch| match rng.random_range(0..5) {
                0 => None,
                1 | 2 => Some(own(batch)),
                _ => Some(foreign(batch, &mut rng)),
            })
            .collect();
        let file = |(batch, text): (&RecordBatch, &Option<String>)| DataFile {
            path: "a".to_owned(),
            bytes: 1,
            rows: text.as_ref().map(|_| batch.num_rows() as u64),
            partition_values: [("pf", 10), ("ps", 11)]
                .map(|(name, position)| {
                    let value = ScalarValue::try_from_array(batch.column(position), 0).unwrap();
                    (name.to_owned(), log_text(&value))
                })
                .into(),
            deletion_vector: None,
        };
        let files = batches.iter().zip(&texts).map(file).collect();
        let list = FileList::new("t", files, texts.clone(), &columns).unwrap();
        let scanned = list.scan_schema();
        let resolved = DFSchema::try_from(scanned.as_ref().clone()).unwrap();
        for _ in 0..CONDITIONS {
            let condition = condition(&mut rng, 2);
            let Ok(predicate) = state.create_physical_expr(condition.clone(), &resolved) else { continue };
            let kept = list.candidates(Some(&predicate), &scanned);
            skipped += batches.len() - kept.len();
            for (number, batch) in batches.iter().enumerate() {
                for batch in [batch.clone(), with_one_zero(batch)] {
                    let outcome = predicate.evaluate(&batch).and_then(|value| value.into_array(batch.num_rows()));
                    // A condition that fails, such as a cast out of range.
                    let Ok(outcome) = outcome else { continue };
                    let is_matching = outcome.as_boolean().iter().any(|row| row == Some(true));
                    matching += usize::from(is_matching);
                    assert!(
                        !is_matching || kept.contains(&number),
                        "{condition}\n{batch:?}\n{:?}\nround {seed}",
                        texts[number]
                    );
                }
            }
        }
    }
    assert!(matching > 200 && skipped > 200, "{matching} matches, {skipped} skipped");
}
