use std::collections::BTreeMap;

use arrow::datatypes::DataType;

use super::*;
use crate::TableDefinition;
use pinsql_base::schema::parse_type;

fn column(name: &str, ddl: &str) -> Column {
    Column { name: name.to_owned(), data_type: parse_type(ddl).unwrap(), nullable: true, comment: None }
}

fn metadata() -> Metadata {
    TableDefinition {
        columns: vec![
            column("a", "INT"),
            column("s", "STRUCT<x: INT>"),
            column("l", "ARRAY<STRUCT<y: INT>>"),
            column("m", "MAP<STRING, STRUCT<z: INT>>"),
        ],
        properties: BTreeMap::from([("quality".to_owned(), "gold".to_owned())]),
        constraints: vec![Constraint { name: "Positive".to_owned(), sql: "a > 0".to_owned() }],
        ..TableDefinition::default()
    }
    .metadata()
    .unwrap()
}

fn names(metadata: &Metadata) -> Vec<String> {
    metadata.parse_schema().unwrap().fields().map(|field| field.name().clone()).collect()
}

fn path(text: &str) -> Vec<String> {
    text.split('.').map(str::to_owned).collect()
}

fn add(parents: &[&str], column: Column, position: Option<ColumnPosition>) -> Alteration {
    let parents = parents.iter().map(|name| (*name).to_owned()).collect();
    Alteration::AddColumns(vec![NewColumn { parents, column, position }])
}

#[test]
fn columns_are_added_where_they_are_wanted() {
    for (position, expected) in [
        (None, ["a", "s", "l", "m", "n"]),
        (Some(ColumnPosition::First), ["n", "a", "s", "l", "m"]),
        (Some(ColumnPosition::After("A".to_owned())), ["a", "n", "s", "l", "m"]),
    ] {
        let (altered, _) = add(&[], column("n", "INT"), position).altered(&metadata()).unwrap();
        assert_eq!(names(&altered), expected);
    }
}

#[test]
fn fields_are_added_to_structs_wherever_they_are() {
    for (parents, ddl) in [
        (&["S"][..], "STRUCT<x: INT, n: BIGINT>"),
        (&["l", "element"], "ARRAY<STRUCT<y: INT, n: BIGINT>>"),
        (&["m", "value"], "MAP<STRING, STRUCT<z: INT, n: BIGINT>>"),
    ] {
        let (altered, _) = add(parents, column("n", "BIGINT"), None).altered(&metadata()).unwrap();
        let schema = altered.parse_schema().unwrap();
        let changed = schema.fields().find(|field| field.name().eq_ignore_ascii_case(parents[0])).unwrap();
        let expected: DeltaType = (&storable("n", &parse_type(ddl).unwrap()).unwrap()).try_into_kernel().unwrap();
        assert_eq!(changed.data_type(), &expected);
    }
}

#[test]
fn columns_are_moved_commented_and_made_nullable() {
    let moved = Alteration::MoveColumn { path: path("m"), position: ColumnPosition::First };
    assert_eq!(names(&moved.altered(&metadata()).unwrap().0), ["m", "a", "s", "l"]);
    let commented = Alteration::CommentColumn { path: path("s.x"), comment: Some("it's".to_owned()) };
    let altered = serde_json::to_value(commented.altered(&metadata()).unwrap().0).unwrap();
    assert!(altered["schemaString"].as_str().unwrap().contains(r#""comment":"it's""#));
    let required = Alteration::SetNullable { column: "a".to_owned(), nullable: false };
    assert!(!required.altered(&metadata()).unwrap().0.parse_schema().unwrap().field("a").unwrap().is_nullable());
}

#[test]
fn properties_and_constraints_come_and_go() {
    let set = BTreeMap::from([("delta.appendonly".to_owned(), "true".to_owned()), ("k".to_owned(), "v".to_owned())]);
    let (altered, _) = Alteration::SetProperties(set).altered(&metadata()).unwrap();
    assert_eq!(altered.configuration()["delta.appendOnly"], "true");
    assert_eq!((&*altered.configuration()["k"], &*altered.configuration()["quality"]), ("v", "gold"));
    let unset = Alteration::UnsetProperties { keys: vec!["DELTA.APPENDONLY".to_owned()], if_exists: false };
    assert!(!unset.altered(&altered).unwrap().0.configuration().contains_key("delta.appendOnly"));
    let dropped = Alteration::DropConstraint { name: "POSITIVE".to_owned() };
    assert_eq!(dropped.altered(&metadata()).unwrap().0.configuration().len(), 1);
    let asked = BTreeMap::from([("delta.minWriterVersion".to_owned(), "4".to_owned())]);
    assert_eq!(Alteration::SetProperties(asked).altered(&metadata()).unwrap().1, Some(4));
}

#[test]
fn impossible_alterations_are_errors() {
    let not_there = |keys: &str| Alteration::UnsetProperties { keys: vec![keys.to_owned()], if_exists: false };
    let constraint = |name: &str| Constraint { name: name.to_owned(), sql: "a > 0".to_owned() };
    for (alteration, said) in [
        (add(&[], column("A", "INT"), None), "there is a column A already"),
        (add(&[], column("a b", "INT"), None), "the column name `a b` contains ' '"),
        (add(&["s"], column("X", "INT"), None), "there is a column s.X already"),
        (add(&["a"], column("x", "INT"), None), "a is not a STRUCT and has no fields"),
        (add(&["a", "b"], column("x", "INT"), None), "a is not a STRUCT and has no field b"),
        (add(&["t"], column("x", "INT"), None), "the table has no column t"),
        (add(&[], column("n", "INT"), Some(ColumnPosition::After("z".to_owned()))), "the table has no column z"),
        (add(&[], Column { data_type: DataType::Null, ..column("n", "INT") }, None), "column n has type VOID"),
        (
            Alteration::MoveColumn { path: path("a"), position: ColumnPosition::After("A".to_owned()) },
            "the column a cannot come after itself",
        ),
        (not_there("qualty"), "the table has no property qualty"),
        (not_there("delta.apendOnly"), "there is no table property delta.apendOnly"),
        (Alteration::AddConstraint(constraint("positive")), "there is a constraint named positive already"),
        (Alteration::DropConstraint { name: "positiv".to_owned() }, "the table has no constraint named positiv"),
    ] {
        let error = alteration.altered(&metadata()).unwrap_err();
        assert!(error.message.contains(said), "{}", error.message);
    }
    assert_eq!(not_there("qualty").altered(&metadata()).unwrap_err().hint.unwrap(), "did you mean quality?");
}
