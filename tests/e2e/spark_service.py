"""One Spark with Delta for all tests of a run. It starts once and serves requests over TCP.
    spark_service.py PORT FOLDER
FOLDER is for the files of the running Spark. A connection is a separate session: tests do not see the settings and temporary
views of each other. But they share the tables of the catalog, so each test needs its own table names. A request is a line of
JSON, {"do": OPERATION, …arguments}. The response is a line {"answer": …} or {"error": "…"}.
"""

import datetime
import decimal
import json
import os
import pathlib
import socketserver
import sys

import spark_same_sql
from plain import digest, plain

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]

SETTINGS = {
    "spark.driver.memory": "2g",
    "spark.driver.host": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.sql.session.timeZone": "UTC",
    # The tables are small. Reading each log with the default of fifty tasks would take longer than everything else.
    "spark.databricks.delta.snapshotPartitions": "1",
    "spark.sql.shuffle.partitions": "1",
    # Each query runs only once, so the cost of compiling and optimizing it is wasted. With only one compiler tier, Java
    # reserves 48 MB for compiled code. A long run fills them, and then Java compiles nothing more. So this setting
    # reserves 256 MB.
    # The serial collector needs the least processor time, which the tests share. A large heap and metaspace from the start
    # save collections while both grow. The jars come from one locked list, so their bytecode needs no verification.
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m -XX:+UseSerialGC"
    " -Xms1g -Xmn400m -XX:MetaspaceSize=512m -XX:+UnlockDiagnosticVMOptions -XX:-BytecodeVerificationRemote"
    " -Duser.timezone=UTC -Duser.language=en -Duser.country=US",
    # Spark collects data for its UI also if there is no UI. A simple plan is cheaper to write, and with high limits Spark
    # does not search for old entries to delete.
    "spark.sql.ui.explainMode": "simple",
    "spark.sql.ui.retainedExecutions": "100000",
    "spark.ui.retainedJobs": "100000",
    "spark.ui.retainedStages": "100000",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
    # The Java stack in the error message is enough.
    "spark.sql.pyspark.jvmStacktrace.enabled": "false",
    # Tables have explicit locations and need no Hive metastore.
    "spark.sql.catalogImplementation": "in-memory",
}


def start_spark(folder):
    from pyspark.sql import SparkSession, types

    # PySpark's own conversion uses the time zone of this machine, and cannot read the first day of year 1.
    epoch = datetime.datetime(1970, 1, 1)
    types.TimestampType.fromInternal = lambda _, us: None if us is None else epoch + datetime.timedelta(microseconds=us)
    folders = [os.environ[name] for name in ["PINSQL_TEST_JARS", "PINSQL_TEST_S3A"]]
    # Java adds these jars to its class path, after Spark's own. With `spark.jars`, the executor would load all classes of
    # Delta a second time, and Spark would first search each of them in more than three hundred jars.
    os.environ["SPARK_DIST_CLASSPATH"] = ":".join(os.path.join(folder, "*") for folder in folders)
    builder = SparkSession.builder.master("local[2]")
    builder = builder.config("spark.sql.warehouse.dir", f"{folder}/warehouse").config("spark.local.dir", folder)
    for name, value in SETTINGS.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def exact(value, kind):
    """A value exactly as in its type: a decimal with the digits of its scale, which it can lose on the way from Java, and a
    VARIANT as the JSON value in it."""
    from pyspark.sql import types

    if value is None:
        return None
    if isinstance(kind, types.DecimalType):
        return value.quantize(decimal.Decimal(1).scaleb(-kind.scale), context=decimal.Context(prec=76))
    if isinstance(kind, types.VariantType):
        return json.loads(value.toJson())
    if isinstance(kind, types.ArrayType):
        return [exact(item, kind.elementType) for item in value]
    if isinstance(kind, types.MapType):
        return {exact(key, kind.keyType): exact(item, kind.valueType) for key, item in value.items()}
    if isinstance(kind, types.StructType):
        return {field.name: exact(item, field.dataType) for field, item in zip(kind, value)}
    return value


def rows_of(frame):
    return [exact(row, frame.schema) for row in frame.collect()]


def types_of(frame):
    return [list(column) for column in frame.dtypes]


# Operations


def sql(spark, statement):
    """The rows of a statement, and their types."""
    frame = spark.sql(statement)
    return {"rows": rows_of(frame), "types": types_of(frame)}


def table(spark, path, version=None):
    """The current state of a table, or its state at a version."""
    reader = spark.read.format("delta")
    if version is not None:
        reader = reader.option("versionAsOf", version)
    frame = reader.load(path)
    rows = rows_of(frame)
    return {"rows": rows, "types": types_of(frame), "digest": digest(rows)}


def detail(spark, path):
    """The metadata of a table."""
    detail = spark.sql(f"DESCRIBE DETAIL delta.`{path}`").first().asDict()
    return {
        "protocol": [detail["minReaderVersion"], detail["minWriterVersion"]],
        "features": detail["tableFeatures"],
        "partitions": detail["partitionColumns"],
        "properties": detail["properties"],
        "comment": detail["description"],
        "files": detail["numFiles"],
        "bytes": detail["sizeInBytes"],
    }


def history(spark, path):
    """The commits of a table, the newest first."""
    entries = spark.sql(f"DESCRIBE HISTORY delta.`{path}`").collect()
    return [
        {
            "version": entry.version,
            "timestamp": entry.timestamp.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3],
            "operation": entry.operation,
            "parameters": entry.operationParameters,
            "metrics": entry.operationMetrics,
            "readVersion": entry.readVersion,
            "isBlindAppend": entry.isBlindAppend,
            "userMetadata": entry.userMetadata,
        }
        for entry in entries
    ]


def versions(spark, path):
    """The rows of each version in the history. For a version that no longer exists, the first line of the error."""
    found = {}
    for entry in history(spark, path):
        try:
            found[entry["version"]] = table(spark, path, entry["version"])["rows"]
        except Exception as error:
            found[entry["version"]] = str(error).splitlines()[0]
    return found


def changes(spark, path, first):
    """The change data feed from version `first` on."""
    reader = spark.read.format("delta").option("readChangeFeed", "true").option("startingVersion", first)
    return rows_of(reader.load(path))


def files_read(spark, path, condition):
    """The files that the plan of a filtered scan reads, and the rows of the scan."""
    frame = spark.read.format("delta").load(path).where(condition)
    return {"files": sorted(frame.inputFiles()), "rows": rows_of(frame)}


def conformance(spark):
    """The differences between tests/slt/spark and Spark's results. Empty if there are none."""
    sys.path.insert(0, str(REPOSITORY / "tests/slt/spark"))
    import generate

    generate.settle(spark)
    return generate.differences(spark)


OPERATIONS = {
    operation.__name__: operation
    for operation in [sql, table, detail, history, versions, changes, files_read, conformance]
    + spark_same_sql.OPERATIONS
}


class Connection(socketserver.StreamRequestHandler):
    def handle(self):
        session = self.server.spark.newSession()
        for line in self.rfile:
            request = json.loads(line)
            try:
                answer = {"answer": plain(OPERATIONS[request.pop("do")](session, **request))}
            except Exception as error:  # Any error: the test checks its text.
                answer = {"error": f"{type(error).__name__}: {error}"}
            self.wfile.write(json.dumps(answer).encode() + b"\n")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64


if __name__ == "__main__":
    spark = start_spark(sys.argv[2])
    # The port opens only after Spark is ready.
    with Server(("127.0.0.1", int(sys.argv[1])), Connection) as server:
        server.spark = spark
        server.serve_forever()
