"""Writes to Kinesis like other producers: with boto3, and with Amazon's own module for aggregates.
Reads one JSON command per line and prints one line for each: {"ok": …} or {"error": …}.
"""

import json
import sys
import time

import boto3
from aws_kinesis_agg.aggregator import RecordAggregator
from botocore.config import Config
from botocore.exceptions import ClientError

PUT_RECORDS_MAX = 500
READY_SECONDS_MAX = 120

client = boto3.client(
    "kinesis",
    endpoint_url=sys.argv[1],
    region_name="us-east-1",
    aws_access_key_id="test",
    aws_secret_access_key="test",
    config=Config(retries={"max_attempts": 10, "mode": "standard"}),
)


def active(stream):
    """Waits until the stream accepts the next change."""
    deadline = time.monotonic() + READY_SECONDS_MAX
    while time.monotonic() < deadline:
        summary = client.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]
        if summary["StreamStatus"] == "ACTIVE":
            return True
        time.sleep(0.02)
    raise TimeoutError(f"{stream} does not become active")


def create(stream, shards):
    client.create_stream(StreamName=stream, ShardCount=shards)
    return active(stream)


def delete(stream):
    client.delete_stream(StreamName=stream)
    deadline = time.monotonic() + READY_SECONDS_MAX
    while time.monotonic() < deadline:
        if stream not in client.list_streams()["StreamNames"]:
            return True
        time.sleep(0.02)
    raise TimeoutError(f"{stream} is not deleted")


def put(stream, records):
    """Sends records as [key, data]. Sends refused records again, so the order within a key holds only if none is refused."""
    for start in range(0, len(records), PUT_RECORDS_MAX):
        waiting = [{"PartitionKey": key, "Data": data.encode()} for key, data in records[start : start + PUT_RECORDS_MAX]]
        while waiting:
            answer = client.put_records(StreamName=stream, Records=waiting)["Records"]
            waiting = [record for record, result in zip(waiting, answer) if "ErrorCode" in result]
    return len(records)


def aggregate(stream, records):
    """Sends all records in one aggregate."""
    packer = RecordAggregator()
    for key, data in records:
        packer.add_user_record(key, data.encode())
    key, hash_key, data = packer.clear_and_get().get_contents()
    client.put_record(StreamName=stream, PartitionKey=key, Data=bytes(data))
    return len(records)


def put_raw(stream, key, data):
    """Sends one record of any bytes, given in hexadecimal."""
    client.put_record(StreamName=stream, PartitionKey=key, Data=bytes.fromhex(data))
    return True


def shards(stream):
    return client.list_shards(StreamName=stream)["Shards"]


def allow_records(stream, kib):
    """Raises the maximum size of a record."""
    arn = client.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]["StreamARN"]
    client.update_max_record_size(StreamARN=arn, MaxRecordSizeInKiB=kib)
    return active(stream)


def split(stream, shard):
    found = next(listed for listed in shards(stream) if listed["ShardId"] == shard)
    start, end = (int(found["HashKeyRange"][name]) for name in ("StartingHashKey", "EndingHashKey"))
    client.split_shard(StreamName=stream, ShardToSplit=shard, NewStartingHashKey=str((start + end + 1) // 2))
    return active(stream)


def merge(stream, shard, other):
    client.merge_shards(StreamName=stream, ShardToMerge=shard, AdjacentShardToMerge=other)
    return active(stream)


def touch():
    """Sends a request and ignores the response."""
    try:
        client.describe_stream_summary(StreamName="none")
    except ClientError:
        pass
    return True


def read_bare(stream, shard, records):
    """The seconds in which a client that does nothing else reads this number of records of one shard."""
    started = time.monotonic()
    iterator = client.get_shard_iterator(StreamName=stream, ShardId=shard, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
    while records > 0:
        answer = client.get_records(ShardIterator=iterator, Limit=10000)
        records -= len(answer["Records"])
        iterator = answer["NextShardIterator"]
    return time.monotonic() - started


COMMANDS = {function.__name__: function for function in (create, delete, put, aggregate, put_raw, allow_records, split, merge, touch, read_bare)}
COMMANDS["shards"] = lambda stream: [
    {"id": shard["ShardId"], "open": "EndingSequenceNumber" not in shard["SequenceNumberRange"]} for shard in shards(stream)
]

for line in sys.stdin:
    command, arguments = json.loads(line)
    try:
        print(json.dumps({"ok": COMMANDS[command](*arguments)}), flush=True)
    except Exception as error:  # the test reports the command
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)
