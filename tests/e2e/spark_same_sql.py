"""Operations in Spark for `spark_same_sql.rs` and `databricks.rs`: the pipeline's SQL files and a notebook."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "examples/databricks"))

import in_spark


def found(frame):
    """The rows of a query in their order, and its columns."""
    return {"rows": [row.asDict() for row in frame.collect()], "types": [list(column) for column in frame.dtypes]}


def run_file(spark, path, parameters=None, checkpoints=None, messages=None):
    """The result of the last statement of a file."""
    # A stream that makes a table uses the active session of its thread, which must be this one.
    type(spark)._get_j_spark_session_class(spark._jvm).setActiveSession(spark._jsparkSession)
    frame = in_spark.run(spark, path, parameters, checkpoints, messages)
    return None if frame is None else found(frame)


def messages(spark, path, view, columns, condition):
    """A view over the messages in a folder, as a stream with the columns of `read_kinesis` or `read_kafka`."""
    lines = spark.readStream.schema("key STRING, data STRING").json(path)
    lines.where(condition).selectExpr(*columns).createOrReplaceTempView(view)


def notebook(spark, source):
    """The text and the result of each SQL cell of a notebook in Databricks' source format, run in order."""
    first, rest = source.split("\n", 1)
    if first != "-- Databricks notebook source":
        raise ValueError(f"no notebook begins with {first}")
    answers = []
    for cell in rest.split("\n-- COMMAND ----------\n"):
        if not cell.strip().startswith("-- MAGIC"):
            [*others, last] = [statement for statement in in_spark.split(cell, ";") if statement]
            for statement in others:
                spark.sql(statement)
            answers.append({"cell": cell.strip(), **found(spark.sql(last))})
    return answers


OPERATIONS = [run_file, messages, notebook]
