"""Runs the pipeline's SQL files in open-source Spark with Delta, as they are.

    >>> from in_spark import run
    >>> run(spark, "sql/clean_pin.sql", {"raw": "examples/data"})
    >>> run(spark, "sql/queries/users_joined_by_year.sql").show()

The statements go to Spark as they stand, but for what Databricks or pinsql has and open-source Spark has not:

- `SOURCE 'file'`, a statement of Spark's shell: the statements of that file, which is looked for beside the one that
  says it.
- `read_files(…)`: Spark's own reader of the same format, with the given schema, options and path, as a view in its
  place. What is no record is left out (DROPMALFORMED): pinsql sets it apart in `<table>_rejects`. Behind STREAM it is a
  stream.
- `read_kinesis(…)` and `read_kafka(…)`: a view that the caller gives, with the columns that the source would have.
- `CREATE OR REFRESH STREAMING TABLE … AS query`: the query runs as a stream over what is there now, and ends. Its
  table is the whole result of the query: in append mode Spark takes no DISTINCT without a watermark.
- `CREATE OR REFRESH SINK … INTO place … AS query`: likewise; the rows become lines of text in the place.
- `:name`: Spark's own parameters. In the arguments of `read_files` Spark evaluates them too.
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
    # In Databricks a table is a Delta table, unless the statement says otherwise.
    "spark.sql.sources.default": "delta",
    # A view whose `from_json` has its schema in a variable forgets the variable, unless Spark keeps the view's plan.
    "spark.sql.legacy.storeAnalyzedPlanForView": "true",
    # Spark 4.2 puts the values of `:name` in before it parses, which Delta 4.4's parser passes over.
    "spark.sql.legacy.parameterSubstitution.constantsOnly": "true",
}

view_numbers = itertools.count(1)


def run(spark, path, parameters=None, checkpoints=None, messages=None):
    """Runs the statements of a file in order, and gives what the last one gave.

    `parameters` are the values of `:name`, `checkpoints` is a folder for the checkpoints of streams, `messages` the
    name of the view in the place of `read_kinesis` or `read_kafka`.
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
    """The statements of a file, and in the place of each SOURCE those of the file it names."""
    with open(path, encoding="utf-8") as file:
        for statement in split(file.read(), ";"):
            if match := SOURCE.fullmatch(statement):
                yield from statements(os.path.join(os.path.dirname(path), match.group(1)))
            elif statement:
                yield statement


def split(sql, separator):
    """The parts of a text between separators outside of quotes and parentheses, without the comments."""
    parts, depth = [""], 0
    for token in TOKEN.findall(sql):
        depth += {"(": 1, ")": -1}.get(token, 0)
        if token == separator and depth == 0:
            parts.append("")
        elif not token.startswith(("--", "/*")):
            parts[-1] += token
    return [part.strip() for part in parts]


def with_readers(spark, statement, parameters, messages):
    """The statement with a view in the place of each call of a reader."""
    while match := READER.search(statement):
        arguments = parenthesized(statement[match.end() :])
        if match.group(2).lower() == "read_files":
            view = files_view(spark, arguments, parameters, is_stream=match.group(1) is not None)
        else:
            view = messages
        statement = statement[: match.start()] + view + statement[match.end() + len(arguments) + 2 :]
    return statement


def parenthesized(text):
    """What stands between the parenthesis at the beginning of a text and the one that closes it."""
    depth, length = 0, 0
    for token in TOKEN.findall(text):
        depth += {"(": 1, ")": -1}.get(token, 0)
        length += len(token)
        if depth == 0:
            return text[1 : length - 1]
    raise ValueError(f"no closing parenthesis: {text}")


def files_view(spark, arguments, parameters, is_stream):
    """A view over the files that the arguments of `read_files` say."""
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
