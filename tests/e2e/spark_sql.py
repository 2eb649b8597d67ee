"""Runs SQL statements in Spark with Delta, and prints what each gave as JSON.

    spark_sql.py STATEMENT...

A statement that fails gives {"error": "…"}, the others {"rows": [[…]]}; whatever fails, the next one runs.
"""

import json
import os
import sys

from read_tables import spark_session


def run(spark, sql):
    try:
        return {"rows": [[None if value is None else str(value) for value in row] for row in spark.sql(sql).collect()]}
    except Exception as error:  # Whatever it is, the test looks at its text.
        return {"error": str(error)}


if __name__ == "__main__":
    spark = spark_session()
    print(json.dumps([run(spark, sql) for sql in sys.argv[1:]]), flush=True)
    os._exit(0)
