"""Reads the stored records with clients that are not part of pinsql, and prints them as JSON.

    kafka SERVERS TOPIC…        {topic: [[partition, value], …]}, to the end of each topic, only committed records
    kinesis ENDPOINT STREAM     [[partition key, data], …], to the end of each shard
"""

import json
import os
import sys

SECONDS_MAX = 120


def kafka(servers, *topics):
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": servers, "group.id": "reader", "enable.partition.eof": True})
    arrived = {}
    for topic in topics:
        partitions = consumer.list_topics(topic, timeout=SECONDS_MAX).topics[topic].partitions
        consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
        arrived[topic], left = [], len(partitions)
        while left > 0:
            message = consumer.poll(SECONDS_MAX)
            assert message is not None, f"{topic} does not end"
            if message.error():
                left -= 1
            else:
                arrived[topic].append([message.partition(), message.value().decode("utf-8", "replace")])
    consumer.close()
    return arrived


def kinesis(endpoint, stream):
    import boto3

    client = boto3.client(
        "kinesis",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    arrived = []
    for shard in client.list_shards(StreamName=stream)["Shards"]:
        start = {"StreamName": stream, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        iterator = client.get_shard_iterator(**start)["ShardIterator"]
        while True:
            answer = client.get_records(ShardIterator=iterator, Limit=10000)
            arrived += [[record["PartitionKey"], record["Data"].decode()] for record in answer["Records"]]
            if not answer["Records"] and answer["MillisBehindLatest"] == 0:
                break
            iterator = answer["NextShardIterator"]
    return arrived


print(json.dumps({"kafka": kafka, "kinesis": kinesis}[sys.argv[1]](*sys.argv[2:])), flush=True)
# All output is written. librdkafka's threads must not run while the interpreter shuts down.
os._exit(0)
