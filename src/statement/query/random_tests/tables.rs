//! The kinds of expressions, and the tables that the queries read.

/// The types between which Spark casts implicitly are one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Boolean,
    Integer,
    Float,
    Decimal,
    Text,
    Binary,
    Date,
    Timestamp,
    Integers,
    Texts,
    Map,
    Struct,
}

impl Kind {
    /// The kinds of one value each, from the most frequent on.
    pub(crate) const PLAIN: [Self; 12] = [
        Self::Integer,
        Self::Integer,
        Self::Integer,
        Self::Text,
        Self::Text,
        Self::Boolean,
        Self::Float,
        Self::Decimal,
        Self::Decimal,
        Self::Date,
        Self::Timestamp,
        Self::Binary,
    ];
    pub(crate) const NESTED: [Self; 4] = [Self::Integers, Self::Texts, Self::Map, Self::Struct];
    pub(crate) const NUMBERS: [Self; 3] = [Self::Integer, Self::Float, Self::Decimal];

    /// The kind of a letter in the signatures of `functions`.
    pub(crate) fn of_letter(letter: char) -> Self {
        match letter {
            'B' => Self::Boolean,
            'I' => Self::Integer,
            'F' => Self::Float,
            'D' => Self::Decimal,
            'T' => Self::Text,
            'X' => Self::Binary,
            'd' => Self::Date,
            't' => Self::Timestamp,
            'A' => Self::Integers,
            'S' => Self::Texts,
            'M' => Self::Map,
            'R' => Self::Struct,
            _ => panic!("no kind has the letter {letter}"),
        }
    }

    /// The types of a kind, for casts.
    pub(crate) fn types(self) -> &'static [&'static str] {
        match self {
            Self::Boolean => &["BOOLEAN"],
            Self::Integer => &["INT", "BIGINT", "INT", "SMALLINT", "TINYINT"],
            Self::Float => &["DOUBLE", "DOUBLE", "FLOAT"],
            Self::Decimal => &["DECIMAL(10,2)", "DECIMAL(20,5)", "DECIMAL(38,10)", "DECIMAL(5,0)"],
            Self::Text => &["STRING"],
            Self::Binary => &["BINARY"],
            Self::Date => &["DATE"],
            Self::Timestamp => &["TIMESTAMP"],
            Self::Integers => &["ARRAY<INT>", "ARRAY<BIGINT>"],
            Self::Texts => &["ARRAY<STRING>"],
            Self::Map => &["MAP<STRING,INT>"],
            Self::Struct => &["STRUCT<p:INT,q:STRING>"],
        }
    }

    /// Some literals of a kind, among them the edges. Large numbers are rare: most sums would overflow.
    pub(crate) fn literals(self) -> &'static [&'static str] {
        match self {
            Self::Boolean => &["true", "false", "CAST(NULL AS BOOLEAN)"],
            Self::Integer => &[
                "0",
                "1",
                "2",
                "-1",
                "3",
                "7",
                "10",
                "2Y",
                "3S",
                "5L",
                "100",
                "-3L",
                "2147483647",
                "CAST(NULL AS INT)",
            ],
            Self::Float => {
                &["0.5D", "1e1", "-2.25D", "0D", "-0.0D", "1.5F", "CAST('NaN' AS DOUBLE)", "CAST(NULL AS DOUBLE)"]
            }
            Self::Decimal => &["0.0", "1.5", "-0.25", "2.50", "10.1", "0.001", "123.456", "CAST(3 AS DECIMAL(10,2))"],
            Self::Text => &[
                "''",
                "'a'",
                "'b'",
                "'ab'",
                "'7'",
                "' x '",
                "'2024-02-29'",
                "'é😀'",
                "'a%b_c'",
                "CAST(NULL AS STRING)",
            ],
            Self::Binary => &["X''", "X'61'", "X'FF00'", "X'6162'", "CAST(NULL AS BINARY)"],
            Self::Date => &["DATE'2024-02-29'", "DATE'1970-01-01'", "DATE'1999-12-31'", "CAST(NULL AS DATE)"],
            Self::Timestamp => &[
                "TIMESTAMP'2024-02-29 12:34:56.789'",
                "TIMESTAMP'1970-01-01 00:00:00'",
                "TIMESTAMP'1969-12-31 23:59:59.5'",
                "CAST(NULL AS TIMESTAMP)",
            ],
            Self::Integers => {
                &["array(1, 2, 3)", "array(3, NULL)", "CAST(array() AS ARRAY<INT>)", "CAST(NULL AS ARRAY<INT>)"]
            }
            Self::Texts => &["array('a', 'b')", "array('b', NULL, 'b')", "CAST(NULL AS ARRAY<STRING>)"],
            Self::Map => &["map('a', 1)", "map('a', NULL, 'b', 2)", "CAST(NULL AS MAP<STRING,INT>)"],
            Self::Struct => &["named_struct('p', 1, 'q', 'a')", "named_struct('p', NULL, 'q', 'b')"],
        }
    }

    pub(crate) fn is_ordered(self) -> bool {
        self != Self::Map
    }
}

/// A table: its name, its columns, its rows as a query.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) columns: &'static [(&'static str, Kind)],
    pub(crate) rows: &'static str,
}

/// Floats are sums of powers of two, so that the sum of a column does not depend on the order of its rows.
pub(crate) const TABLES: [Table; 5] = [
    Table {
        name: "n",
        columns: &[
            ("k", Kind::Integer),
            ("b", Kind::Boolean),
            ("i1", Kind::Integer),
            ("i2", Kind::Integer),
            ("i8", Kind::Integer),
            ("f4", Kind::Float),
            ("f8", Kind::Float),
            ("d", Kind::Decimal),
            ("e", Kind::Decimal),
        ],
        rows: "SELECT CAST(k AS INT) AS k, CAST(b AS BOOLEAN) AS b, CAST(i1 AS TINYINT) AS i1, CAST(i2 AS SMALLINT) AS i2, \
               CAST(i8 AS BIGINT) AS i8, CAST(f4 AS FLOAT) AS f4, CAST(f8 AS DOUBLE) AS f8, CAST(d AS DECIMAL(9,2)) AS d, \
               CAST(e AS DECIMAL(20,5)) AS e FROM VALUES \
               (1, true, 1, 10, 100, '0.5', '1.25', 1.25, 10.00001), (2, false, 2, 20, 200, '-0.0', '-0.0', -2.50, 0.00000), \
               (2, NULL, -3, -20, 5000000000, 'NaN', '0.0', 0.00, -7.50000), (3, true, 3, 0, 0, '2.5', 'NaN', 99.99, 3.00000), \
               (NULL, false, NULL, 7, -1, NULL, '-8.5', NULL, NULL), (5, NULL, 0, NULL, NULL, '1.5', NULL, 1.25, 10.00001) \
               AS v(k, b, i1, i2, i8, f4, f8, d, e)",
    },
    Table {
        name: "s",
        columns: &[
            ("k", Kind::Integer),
            ("s", Kind::Text),
            ("x", Kind::Binary),
            ("da", Kind::Date),
            ("ts", Kind::Timestamp),
        ],
        rows: "SELECT CAST(k AS INT) AS k, s, x, CAST(da AS DATE) AS da, CAST(ts AS TIMESTAMP) AS ts FROM VALUES \
               (1, 'a', X'61', '2024-02-29', '2024-02-29 12:34:56.789'), (2, 'ab', X'', '1999-12-31', '1999-12-31 23:59:59'), \
               (2, '', NULL, NULL, '1970-01-01 00:00:00'), (4, NULL, X'FF00', '1969-12-31', NULL), \
               (NULL, ' é ', X'61', '2024-02-29', '1969-12-31 23:59:59.5'), (3, '12', X'3132', '2024-03-01', '2024-03-10 08:00:00') \
               AS v(k, s, x, da, ts)",
    },
    Table {
        name: "c",
        columns: &[
            ("k", Kind::Integer),
            ("a", Kind::Integers),
            ("w", Kind::Texts),
            ("m", Kind::Map),
            ("r", Kind::Struct),
        ],
        rows: "SELECT CAST(k AS INT) AS k, CAST(a AS ARRAY<INT>) AS a, CAST(w AS ARRAY<STRING>) AS w, \
               CAST(m AS MAP<STRING,INT>) AS m, CAST(r AS STRUCT<p:INT,q:STRING>) AS r FROM VALUES \
               (1, array(1, 2, 2), array('a', 'b'), map('a', 1, 'b', 2), named_struct('p', 1, 'q', 'a')), \
               (2, array(NULL, 3), array('b', NULL), map('a', NULL), named_struct('p', NULL, 'q', 'b')), \
               (3, array(), array(), map(), named_struct('p', 3, 'q', NULL)), (3, NULL, NULL, NULL, NULL), \
               (NULL, array(1, 2, 2), array(''), map('z', 9), named_struct('p', 1, 'q', 'a')) AS v(k, a, w, m, r)",
    },
    Table {
        name: "u",
        columns: &[("k", Kind::Integer), ("s", Kind::Text), ("q", Kind::Integer)],
        rows: "SELECT CAST(k AS INT) AS k, s, CAST(q AS BIGINT) AS q FROM VALUES (1, 'a', 1), (1, 'a', 1), (2, 'ab', NULL), \
               (NULL, NULL, 4), (4, 'b', 3), (2, NULL, 2) AS v(k, s, q)",
    },
    Table {
        name: "z",
        columns: &[("k", Kind::Integer), ("s", Kind::Text), ("da", Kind::Date)],
        rows: "SELECT CAST(k AS INT) AS k, s, CAST(da AS DATE) AS da FROM VALUES (1, 'a', '2024-02-29') AS v(k, s, da) WHERE k > 1",
    },
];
