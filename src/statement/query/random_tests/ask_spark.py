"""Asks PySpark for the rows of random queries.

    ask_spark.py QUERIES ANSWERS

QUERIES has one query a line, or is a file of answers. ANSWERS gets the lines that `spark_answers.rs` describes. A query is left out
if Spark fails on its rows, or has a limit of its own. A query with `?` in front of it keeps it. `PINSQL_TEST_RANDOM_REPORT=path` of
the test `random_queries_find_no_fault` writes the queries of its seeds, in the third column.
"""

import os
import pathlib
import re
import sys

FOLDER = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parents[3] / "tests/slt/spark"))

import generate  # noqa: E402

# The conditions for which pinsql refuses the query too.
OF_TYPES = re.compile(
    r"DATATYPE_MISMATCH|INCOMPATIBLE_COLUMN_TYPE|AMBIGUOUS_REFERENCE|NUM_COLUMNS_MISMATCH|MISSING_AGGREGATION|WRONG_NUM_ARGS"
)
ROWS_SHOWN_MAX = 120


def tables():
    """The CREATE VIEW statements of the tables in tables.rs."""
    text = (FOLDER / "tables.rs").read_text()
    for name, rows in re.findall(r'name: "(\w+)",.*?rows: "(.*?)",\n', text, re.DOTALL):
        yield f"CREATE TEMPORARY VIEW {name} AS " + re.sub(r"\\\n\s*", "", rows)


def rounded(value, kind):
    """The order of the rows decides the last digits of a float, and the sign of a zero."""
    from pyspark.sql import types

    if value is None or not isinstance(kind, (types.DoubleType, types.FloatType)):
        return value
    digits = 9 if isinstance(kind, types.DoubleType) else 4
    return float(f"{value:.{digits}e}") + 0.0


def fnv(text):
    number = 0xCBF29CE484222325
    for byte in text.encode():
        number = ((number ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return number


def answer(spark, query):
    """What follows the query in its line. None if there is nothing to compare."""
    from pyspark.errors import PySparkException

    try:
        frame = spark.sql(query)
        kinds = [field.dataType for field in frame.schema]
        rows = [
            " | ".join(generate.cell(rounded(value, kind), kind) for value, kind in zip(row, kinds)) for row in frame.collect()
        ]
    except PySparkException as error:
        condition = error.getCondition() or ""
        return f"!{condition}" if OF_TYPES.match(condition) else None
    except Exception:  # py4j's and Python's own, for a fault of Spark
        return None
    names = ", ".join(re.sub(r"\binterval\b[ a-z]*", "interval", kind.simpleString()) for kind in kinds)
    text = " / ".join(sorted(re.sub(r"-0\.0(?!\d)", "0.0", row) for row in rows))
    if len(text) > ROWS_SHOWN_MAX:
        text = f"#{len(rows)} {fnv(text):016x}"
    return f"{names}\t{text}"


def main(queries, answers):
    spark = generate.start_spark()
    for statement in tables():
        spark.sql(statement)
    with open(answers, "w") as out:
        for line in pathlib.Path(queries).read_text().splitlines():
            mark = "?" if line.startswith("?") else ""
            query = line.removeprefix("?").split("\t")[0]
            answered = answer(spark, query)
            if answered is not None:
                out.write(f"{mark}{query}\t{answered}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
    sys.stdout.flush()
    os._exit(0)
