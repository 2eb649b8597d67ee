"""Runs the SQL files of the pipeline in open-source Spark with Delta, without changes.

    >>> from in_spark import run
    >>> run(spark, "sql/clean_pin.sql", {"raw": "examples/data"})
    >>> run(spark, "sql/queries/users_joined_by_year.sql").show()

The statements run in Spark unchanged. Only parts that Databricks or pinsql has, and open-source Spark does not have, are
replaced:

- `SOURCE 'file'`, a statement of Spark's shell: the statements of that file. Its path is relative to the current file.
- `read_files(…)`: a view over Spark's reader of the same format, with the given schema, options and path. Bad records are
  dropped (DROPMALFORMED), where pinsql writes them to `<table>_rejects`. After STREAM, the view is a stream.
- `read_kinesis(…)` and `read_kafka(…)`: a view from the caller, with the columns of the source.
- `CREATE OR REFRESH STREAMING TABLE … AS query`: the query runs as a stream over the current data, and ends. The table
  has the whole result of the query, because Spark does not support DISTINCT without a watermark in append mode.
- `CREATE OR REFRESH SINK … INTO place … AS query`: the same, and the rows become lines of text in the place.
- `:name`: parameters of Spark. Spark also evaluates them in the arguments of `read_files`.
"""

import itertools
import os
import re

# One token: a comment, a text, a quoted name, or any other character.
TOKEN = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|`[^`]*`|.", re.DOTALL)
SOURCE = re.compile(r"SOURCE\s+'([^']+)'", re.IGNORECASE)
READER = re.compile(r"(STREAM\s+)?\b(read_files|read_kafka|read_kinesis)\s*(?=\()", re.IGNORECASE)
STREAMING_TABLE = re.compile(
    r"CREATE\s+OR\s+REFRESH\s+STREAMING\s+TABLE\s+(\S+)\s+COMMENT\s+('(?:\\.|[^'\\])*')\s+AS\s+(.*)",
    re.IGNORECASE | re.DOTALL,
)
SINK = re.compile(
    r"CREATE\s+OR\s+REFRESH\s+SINK\s+(\S+)\s+INTO\s+(\S+)\s+WITH\s+\([^)]*\)\s+AS\s+(.*)", re.IGNORECASE | re.DOTALL
)

SETTINGS = {
    # In Databricks, a table is a Delta table by default.
    "spark.sql.sources.default": "delta",
    # A view with `from_json` and a schema in a variable loses the variable, unless Spark stores the plan of the view.
    "spark.sql.legacy.storeAnalyzedPlanForView": "true",
    # Spark 4.2 inserts the values of `:name` before it parses. The parser of Delta 4.4 does not do that.
    "spark.sql.legacy.parameterSubstitution.constantsOnly": "true",
}

view_numbers = itertools.count(1)


def run(spark, path, parameters=None, checkpoints=None, messages=None):
    """Runs the statements of a file in order, and returns the result of the last one.

    `parameters` are the values of `:name`. `checkpoints` is a folder for the checkpoints of streams. `messages` is the name
    of the view that replaces `read_kinesis` or `read_kafka`.
    """
    for name, value in SETTINGS.items():
        spark.conf.set(name, value)
    answer = None
    for statement in statements(path):
        statement = with_readers(spark, statement, parameters or {}, messages)
        if match := STREAMING_TABLE.fullmatch(statement):
            table, comment, query = match.groups()
            writer = spark.sql(query, parameters or {}).writeStream.format("delta").outputMode("complete")
            stream = writer.option("checkpointLocation", os.path.join(checkpoints, table)).trigger(availableNow=True)
            stream.toTable(table).awaitTermination()
            answer = spark.sql(f"COMMENT ON TABLE {table} IS {comment}")
        elif match := SINK.fullmatch(statement):
            sink, place, query = match.groups()
            place = spark.sql(f"SELECT {place}", parameters or {}).first()[0]
            lines = spark.sql(query, parameters or {}).selectExpr("CAST(value AS STRING) AS value")
            writer = lines.writeStream.format("text").option("checkpointLocation", os.path.join(checkpoints, sink))
            writer.trigger(availableNow=True).start(place).awaitTermination()
        else:
            answer = spark.sql(statement, parameters or {})
    return answer


def statements(path):
    """The statements of a file. Each SOURCE is replaced by the statements of its file."""
    with open(path, encoding="utf-8") as file:
        for statement in split(file.read(), ";"):
            if match := SOURCE.fullmatch(statement):
                yield from statements(os.path.join(os.path.dirname(path), match.group(1)))
            elif statement:
                yield statement


def split(sql, separator):
    """Splits a text at the separators outside quotes and parentheses, and removes comments."""
    parts, depth = [""], 0
    for token in TOKEN.findall(sql):
        depth += {"(": 1, ")": -1}.get(token, 0)
        if token == separator and depth == 0:
            parts.append("")
        elif not token.startswith(("--", "/*")):
            parts[-1] += token
    return [part.strip() for part in parts]


def with_readers(spark, statement, parameters, messages):
    """Replaces each call of a reader in the statement by a view."""
    while match := READER.search(statement):
        arguments = parenthesized(statement[match.end() :])
        if match.group(2).lower() == "read_files":
            view = files_view(spark, arguments, parameters, is_stream=match.group(1) is not None)
        else:
            view = messages
        statement = statement[: match.start()] + view + statement[match.end() + len(arguments) + 2 :]
    return statement


def parenthesized(text):
    """The text between the parenthesis at the start and the one that closes it."""
    depth, length = 0, 0
    for token in TOKEN.findall(text):
        depth += {"(": 1, ")": -1}.get(token, 0)
        length += len(token)
        if depth == 0:
            return text[1 : length - 1]
    raise ValueError(f"no closing parenthesis: {text}")


def files_view(spark, arguments, parameters, is_stream):
    """Makes a view over the files of the arguments of `read_files`, and returns its name."""
    path, *options = split(arguments, ",")
    named = [re.fullmatch(r"(\w+)\s*=>\s*(.*)", option, re.DOTALL).groups() for option in options]
    columns = [f"{path} AS path", *(f"{value} AS {name}" for name, value in named)]
    values = spark.sql(f"SELECT {', '.join(columns)}", parameters).first().asDict()
    path, schema = values.pop("path"), values.pop("schema")
    reader = (spark.readStream if is_stream else spark.read).format(values.pop("format"))
    frame = reader.schema(schema).options(**{"mode": "DROPMALFORMED", **values}).load(path)
    view = f"files_{next(view_numbers)}"
    frame.createOrReplaceTempView(view)
    return view
