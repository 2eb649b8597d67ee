"""Posts to the gateway like the pipeline's scripts, with requests. Reads the records with clients that are not part of pinsql.
Argument: a JSON list of actions. In each, `do` is the name of a function below, and the other fields are its arguments.
Prints the results as one JSON list.
"""

import base64
import json
import os
import socket
import sys
import threading
import time

import boto3
import requests
from confluent_kafka import Consumer, TopicPartition

WAIT_SECONDS = 120


def short(response):
    """Status, body and the relevant headers."""
    try:
        body = response.json()
    except ValueError:
        body = response.text
    names = ("content-type", "retry-after", "x-request-id", "www-authenticate")
    head = {name: response.headers[name] for name in names if name in response.headers}
    return {"status": response.status_code, "body": body, "head": head}


def post_topics(base, topic, values, headers={}):
    """Like `user_posting_emulation.py` of the pipeline: one record per request. Also returns the text that was sent."""
    answers = []
    for value in values:
        payload = json.dumps({"records": [{"value": value}]})
        headers = {"Content-Type": "application/vnd.kafka.json.v2+json", **headers}
        response = requests.request("POST", f"{base}/topics/{topic}", headers=headers, data=payload)
        answers.append({**short(response), "sent": json.dumps(value)})
    return answers


def put_streams(base, stream, values, key):
    """Like `user_posting_emulation_streaming.py` of the pipeline."""
    answers = []
    for value in values:
        payload = json.dumps({"StreamName": stream, "Data": value, "PartitionKey": key})
        headers = {"Content-Type": "application/json"}
        response = requests.request("PUT", f"{base}/streams/{stream}/record", headers=headers, data=payload)
        answers.append({**short(response), "sent": json.dumps(value)})
    return answers


def request(method, url, headers={}, body="", timeout=WAIT_SECONDS):
    return short(requests.request(method, url, headers=headers, data=body.encode(), timeout=timeout))


def large(url, headers, bytes):
    """Sends a body that is too large. The client does not read before it has sent everything."""
    return short(requests.post(url, headers=headers, data=b" " * bytes, timeout=WAIT_SECONDS))


def slow(host, port, head, wait):
    """Sends the beginning of a request and then nothing. Returns the response, and the seconds until the connection ended."""
    begun = time.monotonic()
    with socket.create_connection((host, port)) as connection:
        connection.settimeout(wait)
        connection.sendall(head.encode())
        answer = b""
        while True:
            try:
                chunk = connection.recv(65536)
            except ConnectionResetError:  # the connection was closed with unread data
                chunk = b""
            if not chunk:
                return [answer.decode(), time.monotonic() - begun]
            answer += chunk


def consume(servers, topic, partitions=1):
    """All records of a topic: [partition, offset, key, value], the last two in base64."""
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "check", "enable.partition.eof": True})
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(partitions)])
    records, left = [], partitions
    text = lambda value: None if value is None else base64.b64encode(value).decode()
    while left:
        message = consumer.poll(WAIT_SECONDS)
        assert message is not None, "nothing came"
        if message.error():
            left -= 1
            continue
        records.append([message.partition(), message.offset(), text(message.key()), text(message.value())])
    consumer.close()
    return records


def read_stream(endpoint, stream):
    """All records of a stream: [partition key, data in base64]."""
    client = boto3.client(
        "kinesis", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="t", aws_secret_access_key="t"
    )
    records = []
    for shard in client.list_shards(StreamName=stream)["Shards"]:
        where = {"StreamName": stream, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        iterator = client.get_shard_iterator(**where)["ShardIterator"]
        while True:
            answer = client.get_records(ShardIterator=iterator)
            if not answer["Records"]:
                break
            records += [[one["PartitionKey"], base64.b64encode(one["Data"]).decode()] for one in answer["Records"]]
            iterator = answer["NextShardIterator"]
    return records


def storm(base, topic, threads, ready, seconds=WAIT_SECONDS):
    """Posts numbers from many threads until the server no longer responds. Returns the acknowledged numbers and the statuses of
    the other responses. Writes the file `ready` when all threads have a response."""
    acknowledged, others = [], []
    begun, deadline = threading.Barrier(threads + 1), time.time() + seconds

    def post(thread):
        session = requests.Session()
        for turn in range(1_000_000):
            if time.time() > deadline:
                return
            number = 2 * (turn * threads + thread)
            payload = json.dumps({"records": [{"value": number}, {"value": number + 1}]})
            headers = {"Content-Type": "application/vnd.kafka.json.v2+json"}
            try:
                response = session.post(f"{base}/topics/{topic}", headers=headers, data=payload, timeout=WAIT_SECONDS)
            except requests.exceptions.RequestException:
                return
            if response.status_code == 200:
                assert all(one["error_code"] is None for one in response.json()["offsets"])
                acknowledged.extend([number, number + 1])
            else:
                others.append(response.status_code)
            if turn == 20:
                begun.wait(WAIT_SECONDS)

    running = [threading.Thread(target=post, args=(thread,)) for thread in range(threads)]
    for thread in running:
        thread.start()
    begun.wait(WAIT_SECONDS)
    open(ready, "w").close()
    for thread in running:
        thread.join()
    return {"acknowledged": acknowledged, "others": others}


def crowd(host, port, path, connections):
    """Opens this number of connections, posts on all of them, then reads all responses. Returns the count of each status."""
    body = json.dumps({"records": [{"value": {"index": 1}}]})
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/vnd.kafka.json.v2+json\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()
    opened = [socket.create_connection((host, port), timeout=WAIT_SECONDS) for _ in range(connections)]
    for connection in opened:
        connection.sendall(request)
    counts = {}
    for connection in opened:
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += connection.recv(65536)
        status = answer.split(b" ")[1].decode()
        counts[status] = counts.get(status, 0) + 1
    for connection in opened:
        connection.close()
    return counts


answers = []
for action in json.loads(sys.argv[1]):
    name = action.pop("do")
    answers.append(globals()[name](**action))
print(json.dumps(answers), flush=True)
# All output is written. librdkafka's threads must not run while the interpreter shuts down.
os._exit(0)
