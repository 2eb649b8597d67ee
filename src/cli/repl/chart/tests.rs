use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};

use super::*;

const SIZE: Size = Size { columns: 40, rows: 12 };

fn kept(columns: Vec<(&str, ArrayRef)>) -> Kept {
    Kept::of(RecordBatch::try_from_iter(columns).unwrap())
}

fn categories() -> Kept {
    kept(vec![
        ("category", Arc::new(StringArray::from(vec![Some("art"), Some("home-decor"), None]))),
        ("pins", Arc::new(Int64Array::from(vec![Some(10), Some(5), None]))),
    ])
}

fn failure(kept: &Kept, shape: Shape, names: &[&str]) -> String {
    draw(kept, shape, names, SIZE, false).unwrap_err().message
}

#[test]
fn bars_are_as_long_as_their_values() {
    let drawn = draw(&categories(), Shape::Bar, &[], SIZE, false).unwrap();
    let lines: Vec<&str> = drawn.lines().collect();
    assert_eq!(lines[0], "pins by category");
    let length = |line: &str| line.matches('█').count();
    assert!(lines[1].starts_with("art           10 █"), "{drawn}");
    assert!(lines[2].starts_with("home-decor     5 █"), "{drawn}");
    assert_eq!(lines[3], "NULL        NULL");
    assert!(length(lines[1]).abs_diff(2 * length(lines[2])) <= 1, "{drawn}");
    assert!(lines.iter().all(|line| line.width() <= SIZE.columns));
}

#[test]
fn lines_go_from_the_first_moment_to_the_last() {
    let hours = (0..24).map(|hour| Some(hour * 3_600_000_000));
    let result = kept(vec![
        ("at", Arc::new(TimestampMicrosecondArray::from_iter(hours).with_timezone("UTC"))),
        ("value", Arc::new(Float64Array::from_iter_values((0..24).map(f64::from)))),
    ]);
    let drawn = draw(&result, Shape::Line, &[], Size { columns: 80, rows: 20 }, false).unwrap();
    assert!(drawn.starts_with("value by at\n"), "{drawn}");
    assert!(drawn.contains("1970-01-01 00:00:00") && drawn.contains("1970-01-01 23:00:00"), "{drawn}");
    assert!(drawn.contains("    23│") && drawn.contains("     0│"), "{drawn}");
    let colored = draw(&result, Shape::Line, &[], SIZE, true).unwrap();
    assert!(colored.contains("\u{1b}[36m"), "{colored:?}");
}

#[test]
fn results_that_cannot_be_drawn_are_errors() {
    let text = kept(vec![("a", Arc::new(StringArray::from(vec!["x"])))]);
    assert_eq!(failure(&text, Shape::Bar, &[]), "the last result has no column of numbers to draw");
    assert_eq!(failure(&categories(), Shape::Bar, &["pin"]), "the last result has no column `pin`");
    assert_eq!(failure(&categories(), Shape::Bar, &["pins", "category"]), "the column `category` has no numbers");
    let negative = kept(vec![("n", Arc::new(Int64Array::from(vec![-1])))]);
    assert_eq!(failure(&negative, Shape::Bar, &[]), "bars cannot show values below zero");
    let nothing = kept(vec![("n", Arc::new(Int64Array::from(Vec::<i64>::new())))]);
    assert_eq!(failure(&nothing, Shape::Line, &[]), "the last result has no rows to draw");
    let nulls = kept(vec![("n", Arc::new(Int64Array::from(vec![None])))]);
    assert_eq!(failure(&nulls, Shape::Line, &[]), "all numbers to draw are NULL");
    let many = kept(vec![("n", Arc::new(Int64Array::from_iter_values(0..100)))]);
    let drawn = draw(&many, Shape::Bar, &[], SIZE, false).unwrap();
    assert!(drawn.ends_with("the first 60 of 100 rows are drawn\n"), "{drawn}");
}
