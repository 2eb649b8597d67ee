"""Runs the queries of this folder in PySpark, and writes the answers as sqllogictest files.

    generate.py [--check] [FAMILY...]     every <family>.sql becomes <family>.slt
    generate.py --ask 'SELECT …'          prints Spark's answer, and writes nothing

Spark runs in ANSI mode with the session time zone UTC, the defaults of Databricks. With --check, no file is written. If a
file differs from Spark's answers, the difference is shown and the exit code is 1.

A <family>.sql has queries that end with `;` at the end of a line. Queries can read the views of edge_values.sql. Comment
lines directly above a query are copied, except these directives:

    -- differs: <why>         pinsql gives another answer. docs/functions.md lists the reason with the same words:
    -- ours: <row>            … these rows, in the form of an expected row,
    -- our types: <types>     … with these types, if they differ too,
    -- our error: <regex>     … or this error

An expected row is one line: cells joined by ` | `. Every text is in quotes, so that white space, NULL and 'NULL' are
different. Timestamps are in UTC. `cells.rs` writes our rows in the same format.
"""

import datetime
import decimal
import difflib
import logging
import math
import os
import pathlib
import re
import struct
import sys
import tempfile

FOLDER = pathlib.Path(__file__).resolve().parent
VIEWS = "edge_values"

# Classes of Spark's errors for which our text is compared too. For other classes, only the failure is compared.
ERROR_WORDS = {
    "DIVIDE_BY_ZERO": "(?i)(division|divided?) by zero|by 0",
    "REMAINDER_BY_ZERO": "(?i)by zero",
}

# The settings of the session, for every Spark.
SESSION_SETTINGS = {
    "spark.sql.ansi.enabled": "true",
    "spark.sql.session.timeZone": "UTC",
    # Views have one partition, so that rows without ORDER BY have a stable order.
    "spark.sql.leafNodeDefaultParallelism": "1",
    "spark.sql.shuffle.partitions": "1",
    # Each query runs once, so compiling it is not worth the time.
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
    # One Java stack in the message of an error is enough.
    "spark.sql.pyspark.jvmStacktrace.enabled": "false",
}

SETTINGS = {
    **SESSION_SETTINGS,
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -Duser.timezone=UTC -Duser.language=en -Duser.country=US",
    "spark.log.level": "OFF",
    # Nothing is written into this folder.
    "spark.sql.warehouse.dir": tempfile.gettempdir(),
}


def settle(spark):
    """Sets up a session of a running Spark for these queries."""
    prepare()
    for name, value in SESSION_SETTINGS.items():
        spark.conf.set(name, value)


def prepare():
    from pyspark.sql import types

    # PySpark logs every error of a query. Here an error is an answer.
    logging.disable(logging.CRITICAL)
    # PySpark's own conversion uses the time zone of this machine, and cannot read the first day of year 1.
    epoch = datetime.datetime(1970, 1, 1)
    types.TimestampType.fromInternal = lambda _, us: None if us is None else epoch + datetime.timedelta(microseconds=us)


def start_spark():
    from pyspark.sql import SparkSession

    prepare()
    builder = SparkSession.builder.master("local[1]")
    for name, value in SETTINGS.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


# Cells


def is_plain(character):
    """True if a character is visible and distinct: not white space other than a blank, and not a combining mark."""
    code = ord(character)
    hidden = (
        code < 0x20
        or 0x7F <= code <= 0xA0
        or code == 0xAD
        or 0x300 <= code <= 0x36F
        or 0x2000 <= code <= 0x200F
        or 0x2028 <= code <= 0x202F
        or 0x205F <= code <= 0x206F
        or code in (0x3000, 0x1680, 0xFEFF)
        or 0xFE00 <= code <= 0xFE0F
        or 0xFFF0 <= code <= 0xFFFF
    )
    return not hidden


def text_cell(text):
    written = []
    for character in text:
        if character == "\\":
            written.append("\\\\")
        elif is_plain(character):
            written.append(character)
        else:
            written.append(f"\\u{{{ord(character):x}}}")
    return "'" + "".join(written) + "'"


def shortest(value, single):
    """The fewest digits that identify the float."""
    if not single:
        return repr(value)
    for precision in range(1, 10):
        text = f"{value:.{precision}g}"
        if struct.pack("f", float(text)) == struct.pack("f", value):
            return text
    raise ValueError(value)


def float_cell(value, single):
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0:
        return "-0.0" if math.copysign(1, value) < 0 else "0.0"
    sign, digits, exponent = decimal.Decimal(shortest(value, single)).normalize().as_tuple()
    digits = "".join(map(str, digits))
    if 1e-3 <= abs(value) < 1e7:
        text = f"{decimal.Decimal(int(digits)).scaleb(exponent):f}"
        text = text if "." in text else text + ".0"
        return f"-{text}" if sign else text
    fraction = f".{digits[1:]}" if digits[1:] else ""
    return f"{'-' if sign else ''}{digits[0]}{fraction}e{exponent + len(digits) - 1}"


def moment_cell(value):
    fraction = f".{value.microsecond:06}".rstrip("0") if value.microsecond else ""
    return f"{value.year:04}-{value.month:02}-{value.day:02} {value.hour:02}:{value.minute:02}:{value.second:02}{fraction}"


def cell(value, kind):
    from pyspark.sql import types

    if value is None:
        return "NULL"
    if isinstance(kind, types.ArrayType):
        return "[" + ", ".join(cell(item, kind.elementType) for item in value) + "]"
    if isinstance(kind, types.MapType):
        entries = [f"{cell(key, kind.keyType)}: {cell(item, kind.valueType)}" for key, item in value.items()]
        return "{" + ", ".join(entries) + "}"
    if isinstance(kind, types.StructType):
        return "{" + ", ".join(f"{field.name}: {cell(item, field.dataType)}" for field, item in zip(kind, value)) + "}"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return float_cell(value, isinstance(kind, types.FloatType))
    if isinstance(value, decimal.Decimal):
        exact = decimal.Context(prec=38 + kind.scale)
        return f"{value.quantize(decimal.Decimal(1).scaleb(-kind.scale), context=exact):f}"
    if isinstance(value, str):
        return text_cell(value)
    if isinstance(value, (bytes, bytearray)):
        return f"X'{bytes(value).hex().upper()}'"
    if isinstance(value, datetime.datetime):
        return moment_cell(value)
    if isinstance(value, datetime.timedelta):
        return f"{value // datetime.timedelta(microseconds=1)} us"
    return str(value)


def rows_of(frame):
    kinds = [field.dataType for field in frame.schema]
    rows = [" | ".join(cell(value, kind) for value, kind in zip(row, kinds)) for row in frame.collect()]
    types = ", ".join(re.sub(r"\binterval\b[ a-z]*", "interval", kind.simpleString()) for kind in kinds)
    return types, rows


# Files


class Query:
    def __init__(self, comments, sql):
        self.sql = sql
        self.notes, self.differs, self.ours, self.our_types, self.our_error = [], None, [], None, None
        for comment in comments:
            name, _, value = comment.removeprefix("--").strip().partition(": ")
            if name == "differs":
                self.differs = value
            elif name == "ours":
                self.ours.append(value)
            elif name == "our types":
                self.our_types = value
            elif name == "our error":
                self.our_error = value
            else:
                self.notes.append(comment.removeprefix("--").strip())
        given = bool(self.ours) + (self.our_error is not None)
        if (self.differs is None) != (given == 0) or given > 1:
            sys.exit(f"a query that differs has rows or an error of ours, any other neither: {sql}")


def read(path):
    comments, lines = [], []
    for line in path.read_text().splitlines():
        if not line.strip():
            if lines:
                sys.exit(f"{path}: a blank line in {lines[0]}")
            # A comment with a blank line after it is about the file.
            comments = []
        elif line.startswith("--") and not lines:
            comments.append(line)
        else:
            lines.append(line)
            if line.endswith(";"):
                lines[-1] = line[:-1]
                yield Query(comments, "\n".join(lines))
                comments, lines = [], []
    if lines:
        sys.exit(f"{path}: no `;` behind {lines[0]}")


def is_ordered(sql):
    """True if the outermost query has ORDER BY."""
    depth, outer = 0, []
    for character in re.sub(r"'(\\.|[^'\\])*'", "", sql):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth == 0:
            outer.append(character)
    return re.search(r"\border\s+by\b", "".join(outer), re.IGNORECASE) is not None


def answer(spark, query):
    from pyspark.errors import PySparkException

    try:
        types, rows = rows_of(spark.sql(query.sql))
    except PySparkException as error:
        name = error.getCondition() or type(error).__name__
        if query.differs is None:
            return error_record(name, ERROR_WORDS.get(name, ""), query)
        return [f"# Spark: {name}"] + ours_record(query, None)
    if query.differs is None:
        return rows_record(types, rows, query.sql)
    return [f"# Spark: {types}"] + [f"# Spark: {row}" for row in rows] + ours_record(query, types)


def error_record(name, words, query):
    return [f"statement error {words}".rstrip(), f"-- raises: {name}", query.sql]


def ours_record(query, types):
    if query.our_error is not None:
        return [f"statement error {query.our_error}", query.sql]
    return rows_record(query.our_types or types, query.ours, query.sql)


def rows_record(types, rows, sql):
    # Without ORDER BY, the runner sorts both sides before it compares them.
    head = "query T" if len(rows) < 2 or is_ordered(sql) else "query T rowsort"
    if "rowsort" in head:
        rows = sorted(rows)
    return [head, f"-- types: {types}", sql, "----", *rows]


def suite(spark, family, views):
    import pyspark

    queries = list(read(FOLDER / f"{family}.sql"))
    text = "\n".join(query.sql for query in queries)
    lines = [
        f"# Made by generate.py from {family}.sql and PySpark {pyspark.__version__}: not to be written by hand.",
        "# ANSI mode, session time zone UTC.",
        "",
    ]
    for name, sql in views.items():
        if re.search(rf"\b{name}\b", text):
            lines += ["statement ok", sql, ""]
    for query in queries:
        lines += [f"# {note}" for note in query.notes]
        if query.differs is not None:
            lines.append(f"# Differs: {query.differs}")
        lines += answer(spark, query) + [""]
    return "\n".join(lines)


def make_views(spark):
    views = {}
    for query in read(FOLDER / f"{VIEWS}.sql"):
        name = re.match(r"CREATE TEMPORARY VIEW (\w+)", query.sql).group(1)
        spark.sql(query.sql)
        views[name] = query.sql
    return views


def made_and_kept(spark, families):
    """Yields for each family its name, the answers of Spark, and the answers in the file."""
    views = make_views(spark)
    for family in families or sorted(path.stem for path in FOLDER.glob("*.sql") if path.stem != VIEWS):
        path = FOLDER / f"{family}.slt"
        yield family, suite(spark, family, views), path.read_text() if path.exists() else ""


def differences(spark, families=()):
    """The differences between the files and Spark's answers as a text, which is empty if there are none."""
    texts = []
    for family, made, kept in made_and_kept(spark, families):
        if made != kept:
            difference = difflib.unified_diff(kept.splitlines(), made.splitlines(), "kept", "Spark", lineterm="")
            texts.append("\n".join([f"{family}.slt is not what Spark gives:", *difference]))
    return "\n".join(texts)


def main(arguments):
    spark = start_spark()
    if arguments[:1] == ["--ask"]:
        make_views(spark)
        for sql in arguments[1:]:
            print("\n".join(answer(spark, Query([], sql))), flush=True)
        return 0
    families = [argument for argument in arguments if argument != "--check"]
    if "--check" in arguments:
        text = differences(spark, families)
        print(text, flush=True)
        return 1 if text else 0
    for family, made, _ in made_and_kept(spark, families):
        (FOLDER / f"{family}.slt").write_text(made)
        print(f"{family}: {made.count('query T')} queries, {made.count('statement error')} errors", flush=True)
    return 0


if __name__ == "__main__":
    code = main(sys.argv[1:])
    # Do not wait for the JVM: its native threads can abort the interpreter while the interpreter exits.
    sys.stdout.flush()
    os._exit(code)
