"""Starts a broker and the programs that are measured with it: see way_in.sh."""

import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import confluent_kafka

from services import Kafka, Process, free_ports

POSTS = 100_000
TOPICS = ["pin", "geo", "user"]
RUNS = 3


def gateway_beside_a_producer(kafka, release, work):
    [port] = free_ports(1)
    gateway = Process("gateway", [release / "pinsql", "gateway", "--listen", f"127.0.0.1:{port}", "--kafka", kafka.brokers],
                      work)
    try:
        gateway.await_ready(lambda: urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5).status == 200)
        subprocess.run([release / "examples/gateway_load", kafka.brokers, "load", str(port), str(gateway.child.pid)],
                       check=True)
    finally:
        gateway.stop()


def emulate(kafka, release, work):
    """Records per second of `pinsql emulate`, on one processor."""
    report = work / "report.json"
    subprocess.run(
        ["taskset", "-c", "0", release / "pinsql", "emulate", "--generate", "--rate", "max", "--count", str(POSTS),
         "--to", f"kafka://{kafka.brokers}", "--report", report],
        check=True, stderr=subprocess.DEVNULL, cwd=work,
    )
    return json.loads(report.read_text())["receivers"][0]["records_per_second"]


def loop(kafka, records):
    """Records per second of a confluent-kafka producer. The records are made before the measurement."""
    producer = confluent_kafka.Producer({"bootstrap.servers": kafka.brokers, "acks": "all", "enable.idempotence": True,
                                         "linger.ms": 5})
    begun = time.monotonic()
    for topic, value in records:
        while True:
            try:
                producer.produce(topic, value)
                break
            except BufferError:
                producer.poll(0.01)
        producer.poll(0)
    producer.flush()
    return len(records) / (time.monotonic() - begun)


def main():
    services, release = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        kafka = Kafka(services, work)
        try:
            kafka.create_topics(["load", *TOPICS], 3)
            gateway_beside_a_producer(kafka, release, work)
            value = json.dumps({"index": 17, "title": "Bright Cakes for small rooms", "tag_list": "a,b,c" * 60}).encode()
            records = [(topic, value) for _ in range(POSTS) for topic in TOPICS]
            for _ in range(RUNS):
                print(f"pinsql emulate, one processor: {emulate(kafka, release, work):,.0f} records/s; "
                      f"a loop of confluent-kafka: {loop(kafka, records):,.0f} records/s", flush=True)
        finally:
            kafka.process.stop()


if __name__ == "__main__":
    main()
