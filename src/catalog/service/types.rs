//! Column types in the form of catalog services: the "simple string" of Spark, which is also the type syntax of Hive
//! (`struct<a:int,b:array<string>>`).

use arrow::datatypes::{DataType, FieldRef};

use pinsql_base::schema::type_name;

pub(super) fn simple_string(data_type: &DataType) -> String {
    let fields = |fields: &[FieldRef], written: fn(&FieldRef) -> String| {
        fields.iter().map(written).collect::<Vec<_>>().join(",")
    };
    match data_type {
        DataType::List(item) => format!("array<{}>", simple_string(item.data_type())),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(entry) => format!("map<{}>", fields(entry, |field| simple_string(field.data_type()))),
            other => format!("map<{}>", simple_string(other)),
        },
        DataType::Struct(of) => {
            let named = |field: &FieldRef| format!("{}:{}", field.name(), simple_string(field.data_type()));
            format!("struct<{}>", fields(of, named))
        }
        DataType::Utf8 => "string".to_owned(),
        plain => type_name(plain).to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pinsql_base::schema::parse_type;

    #[test]
    fn types_are_written_as_spark_and_hive_write_them() {
        for (sql, expected) in [
            ("BIGINT", "bigint"),
            ("DECIMAL(10, 2)", "decimal(10,2)"),
            ("TIMESTAMP", "timestamp"),
            ("ARRAY<STRING>", "array<string>"),
            ("MAP<STRING, STRUCT<aB: INT, c: ARRAY<DATE>>>", "map<string,struct<aB:int,c:array<date>>>"),
        ] {
            assert_eq!(simple_string(&parse_type(sql).unwrap()), expected);
        }
    }
}
