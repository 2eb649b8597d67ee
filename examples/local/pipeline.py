"""Runs the whole pipeline on one machine, from posts in a database to tables. Batch and stream must give the same rows.

    MariaDB ─ emulate ─▶ gateway ─┬▶ Kafka ─ sinks ─▶ objects in S3 ─ clean_*.sql ─▶ pin_data, geo_data, user_data
                                  └▶ Kinesis ──────── stream_*.sql ──────────────▶ streamed_pin_data, …
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import deltalake

from services import REGION, Kafka, Kinesis, Mariadb, Process, S3, free_ports

ROOT = Path(__file__).parents[2]
TOPICS = ["pin", "geo", "user"]
PREFIX = "example"
PARTITIONS = 3
STREAM = "posts"
SHARDS = 2
BUCKET = "pinterest"
ROWS = 11_000
TABLES = {"pin": "pinterest_data", "geo": "geolocation_data", "user": "user_data"}


def say(text=""):
    print(text, flush=True)


def heading(text):
    say(f"\n== {text}")


class Pinsql:
    """The program, with the common settings of its commands in the environment."""

    def __init__(self, program, work, environment):
        self.program = program
        self.work = work
        self.environment = environment

    def start(self, name, *arguments):
        return Process(name, [self.program, *arguments], self.work, self.environment)

    def run(self, *arguments, quiet=False):
        """Runs a command, shows its output, and returns its standard output."""
        command = [str(word) for word in [self.program, *arguments]]
        if not quiet:
            shown = [re.sub(f"^{ROOT}/", "", word) for word in command[1:]]
            say("$ pinsql " + " ".join(f"'{word}'" if re.search(r"[\s()*]", word) else word for word in shown))
        environment = {**os.environ, **self.environment}
        done = subprocess.run(command, env=environment, cwd=self.work, capture_output=True, text=True)
        if done.returncode != 0 or not quiet:
            sys.stderr.write(done.stderr)
        if done.returncode != 0:
            raise SystemExit(f"pinsql ended with {done.returncode}")
        return done.stdout

    def value(self, sql):
        """The single value of a query."""
        return int(self.run("-c", sql, "--format", "csv", quiet=True).split()[-1])

    def report(self, *arguments):
        """Runs a command with --report, and returns the report."""
        report = Path(tempfile.mkstemp(suffix=".json", dir=self.work)[1])
        self.run(*arguments, "--report", report)
        return json.loads(report.read_text())


def fill(database, pinsql, work):
    """Fills the three tables with generated posts, the same in every run."""
    rows = work / "rows"
    pinsql.run("emulate", "--generate", "--count", ROWS, "--rate", "max", "--batch", 1000, "--to", rows, quiet=True)
    with database.connect() as connection, connection.cursor() as cursor:
        for statement in (Path(__file__).parent / "tables.sql").read_text().split(";"):
            if statement.strip():
                cursor.execute(statement)
        for topic, table in TABLES.items():
            objects = sorted(rows.glob(f"topics/*{topic}/partition=*/*.json"))
            records = [json.loads(line) for path in objects for line in path.read_text().splitlines()]
            columns = list(records[0])
            names = ", ".join(f"`{name}`" for name in columns)
            marks = ", ".join(["%s"] * len(columns))
            cursor.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})",
                               [[record[name] for name in columns] for record in records])
            say(f"{table}: {len(records)} rows")


def post_what_is_no_post(gateway):
    """Posts messages that are not records of their topic to both sides. The real topics had such messages too."""
    strays = ["index", {"index": "not a number"}, ["a", "list"]]
    for topic in TOPICS:
        records = {"records": [{"value": stray} for stray in strays]}
        request("POST", f"{gateway}/topics/{PREFIX}.{topic}", records, "application/vnd.kafka.json.v2+json")
        for stray in strays:
            record = {"StreamName": STREAM, "Data": stray, "PartitionKey": topic}
            request("PUT", f"{gateway}/streams/{STREAM}/record", record, "application/json")
    return len(strays)


def request(method, url, body, content_type):
    data = json.dumps(body).encode()
    asked = urllib.request.Request(url, data, {"Content-Type": content_type}, method=method)
    with urllib.request.urlopen(asked) as answer:
        return json.loads(answer.read() or "null")


def ledger_of_stream(table, options):
    """The sum of the ledgers of all micro-batches of a table, from its commits, which every reader of Delta can read."""
    total = dict.fromkeys(["read", "written", "filtered", "duplicates", "rejected"], 0)
    for commit in deltalake.DeltaTable(f"s3://{BUCKET}/warehouse/default/{table}", storage_options=options).history():
        ledger = json.loads(commit.get("userMetadata") or "{}").get("pinsql", {}).get("ledger", {})
        total = {name: total[name] + ledger.get(name, 0) for name in total}
    return total


def pipeline(given, work, running):
    """Starts everything, posts, cleans in a batch and in streams, and compares the two."""
    started = time.monotonic()

    heading("services")
    database = Mariadb(given.services, work)
    kafka = Kafka(given.services, work)
    s3 = S3(given.services, work)
    kinesis = Kinesis(given.services, work)
    running += [database.process, kafka.process, s3.process, kinesis.process]
    kafka.create_topics([f"{PREFIX}.{topic}" for topic in TOPICS], PARTITIONS)
    s3.create_bucket(BUCKET)
    credentials = work / "db_creds.yaml"
    database.write_credentials(credentials)
    say(f"MariaDB 127.0.0.1:{database.port}, Kafka {kafka.brokers}, S3 {s3.endpoint}, Kinesis {kinesis.endpoint}")

    pinsql = Pinsql(given.pinsql, work, {
        "AWS_ACCESS_KEY_ID": s3.key,
        "AWS_SECRET_ACCESS_KEY": s3.secret,
        "AWS_REGION": REGION,
        "AWS_ENDPOINT_URL_S3": s3.endpoint,
        "AWS_ENDPOINT_URL_KINESIS": kinesis.endpoint,
        "PINSQL_WAREHOUSE": f"s3://{BUCKET}/warehouse",
    })

    heading("the database")
    fill(database, pinsql, work)

    heading("the gateway, the sinks and the streams")
    gateway, gateway_url = start_gateway(pinsql, kafka)
    running.append(gateway)
    request("POST", f"{gateway_url}/streams/{STREAM}", {"ShardCount": SHARDS}, "application/json")
    sinks = ["--param", f"brokers={kafka.brokers}", "--param", f"raw=s3://{BUCKET}"]
    sinks = [*[sql(f"sink_{topic}.sql") for topic in TOPICS], *sinks]
    streams = [*[sql(f"stream_{topic}.sql") for topic in TOPICS], "--param", f"stream={STREAM}"]
    followers = [pinsql.start("sinks", "stream", *sinks), pinsql.start("streams", "stream", *streams)]
    running += followers
    say(f"{gateway_url}, pinsql stream sql/sink_*.sql, pinsql stream sql/stream_*.sql")

    heading(f"posts, for {given.seconds} s")
    sent = post(pinsql, gateway_url, credentials, given)
    strays = post_what_is_no_post(gateway_url)
    expected = {topic: sent[f"{PREFIX}.{topic}"] + strays for topic in TOPICS}

    heading("what is left is taken in, and everything stops")
    for process in [*followers, gateway]:
        if (code := process.stop()) != 0:
            raise SystemExit(f"{process.name} ended with {code}:\n{process.last_words()}")
    pinsql.run("run", *sinks)
    pinsql.run("run", *streams)

    heading("the batch, over the objects in S3")
    batch = pinsql.report("run", *[sql(f"clean_{topic}.sql") for topic in TOPICS], "--param", f"raw=s3://{BUCKET}")

    heading("the nine questions")
    for question in sorted((ROOT / "sql/queries").glob("*.sql")):
        say(f"{question.stem}\n" + shorten(pinsql.run("run", question, quiet=True)))

    heading("every record sent and acknowledged, and where it is")
    agree(pinsql, s3, expected, batch)
    say(f"\nall of it in {time.monotonic() - started:.0f} s")


def sql(name):
    return ROOT / "sql" / name


def start_gateway(pinsql, kafka):
    """Starts the API in front of both sides. Here it can create the stream; in AWS, the stream exists already."""
    [port] = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    gateway = pinsql.start(
        "gateway", "gateway", "--listen", f"127.0.0.1:{port}", "--kafka", kafka.brokers, "--kinesis", "--stream-changes",
    )
    gateway.await_ready(lambda: urllib.request.urlopen(f"{url}/readyz", timeout=5).status == 200)
    return gateway, url


def post(pinsql, gateway, credentials, given):
    """Sends posts like their users, and returns how many of each topic both sides acknowledged."""
    report = pinsql.work / "posts.json"
    pinsql.run(
        "emulate", "--db", "--credentials", credentials, "--prefix", PREFIX, "--duration", f"{given.seconds}s",
        "--rate", given.rate, "--to", f"{gateway}/topics", "--to", f"{gateway}/streams/{STREAM}", "--report", report,
    )
    receivers = json.loads(report.read_text())["receivers"]
    acknowledged = [{topic: of["acknowledged"] for topic, of in receiver["topics"].items()} for receiver in receivers]
    if acknowledged[0] != acknowledged[1]:
        raise SystemExit(f"Kafka and Kinesis acknowledged different numbers: {acknowledged}")
    return acknowledged[0]


def shorten(table, lines_max=9):
    lines = table.splitlines()
    return "\n".join(lines if len(lines) <= lines_max else [*lines[:lines_max], f"… {len(lines) - lines_max} lines more"])


def agree(pinsql, s3, expected, batch):
    """Fails unless batch and stream each have every record once, as a row or a reject, and have the same rows."""
    options = {"AWS_ENDPOINT_URL": s3.endpoint, "AWS_ALLOW_HTTP": "true", "AWS_REGION": REGION,
               "AWS_ACCESS_KEY_ID": s3.key, "AWS_SECRET_ACCESS_KEY": s3.secret}
    by_batch = {ledger["table"].split(".")[-1]: ledger for ledger in batch["tables"]}
    wrong = []
    for topic in TOPICS:
        table, streamed = f"{topic}_data", f"streamed_{topic}_data"
        ledgers = {"batch": by_batch[table], "stream": ledger_of_stream(streamed, options)}
        rows = {"batch": pinsql.value(f"SELECT count(*) FROM {table}"),
                "stream": pinsql.value(f"SELECT count(*) FROM {streamed}")}
        differing = sum(pinsql.value(f"SELECT count(*) FROM (SELECT * FROM {one} EXCEPT SELECT * FROM {other})")
                        for one, other in [(table, streamed), (streamed, table)])
        say(f"{topic}: {expected[topic]} records acknowledged by Kafka and by Kinesis")
        for name, ledger in ledgers.items():
            # The stream has the records of all topics. The query of a table filters the records of other topics.
            mine = ledger["read"] - ledger["filtered"]
            say(f"  {name + ':':7} {mine} = {ledger['written']} rows + {ledger['duplicates']} duplicates"
                f" + {ledger['rejected']} rejected")
            if mine != expected[topic]:
                wrong.append(f"the {name} did not take each record of {topic} once")
            if rows[name] != ledger["written"]:
                wrong.append(f"the {name}'s table of {topic} has {rows[name]} rows")
        say(f"  rows that only one of the two has: {differing}")
        if differing:
            wrong.append(f"batch and stream have different rows of {topic}")
        if ledgers["batch"]["rejected"] != ledgers["stream"]["rejected"]:
            wrong.append(f"batch and stream reject different numbers of {topic}")
    if wrong:
        raise SystemExit("\n".join(wrong))
    say("batch and stream agree")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seconds", type=int, default=60, help="how long posts are sent")
    arguments.add_argument("--rate", default="50/s", help="posts a second")
    arguments.add_argument("--work", type=Path, help="where services keep their data; a temporary folder if not given")
    arguments.add_argument("--services", type=Path, required=True, help="where tests/services/install put the services")
    arguments.add_argument("--pinsql", type=Path, required=True, help="the program")
    given = arguments.parse_args()
    work = given.work or Path(tempfile.mkdtemp(prefix="pinsql-local-"))
    work.mkdir(parents=True, exist_ok=True)
    running = []
    try:
        pipeline(given, work.resolve(), running)
    finally:
        for process in reversed(running):
            process.stop()
        if given.work is None:
            shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
