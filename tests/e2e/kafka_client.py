"""A Kafka client that is not part of pinsql. It runs actions in order and prints their results.
Arguments: the client's configuration and a list of actions, both JSON. In each action, `do` is the name of a function
below, and the other fields are its arguments. Prints the results as one JSON list.
"""

import faulthandler
import json
import os
import sys
import time

from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic, OffsetSpec

WAIT_SECONDS = 120
MAYBE_FULL = 10_000

faulthandler.enable()
configuration = json.loads(sys.argv[1])
admin = AdminClient(configuration)


def done(futures):
    return [future.result(WAIT_SECONDS) for future in futures.values()]


def create(topic, partitions=1, config={}):
    done(admin.create_topics([NewTopic(topic, partitions, 1, config=config)]))


def delete(topic):
    done(admin.delete_topics([topic], operation_timeout=WAIT_SECONDS))
    deadline = time.time() + WAIT_SECONDS
    while topic in admin.list_topics(timeout=WAIT_SECONDS).topics and time.time() < deadline:
        time.sleep(0.1)


def add_partitions(topic, total):
    done(admin.create_partitions([NewPartitions(topic, total)]))


def delete_records(topic, partition, before):
    done(admin.delete_records([TopicPartition(topic, partition, before)]))


def put(producer, record):
    """Sends [topic, partition, key, value], optionally with headers and a timestamp."""
    topic, partition, key, value, *rest = record
    more = {}
    if rest and rest[0] is not None:
        more["headers"] = [(name, None if text is None else text.encode()) for name, text in rest[0]]
    if len(rest) > 1:
        more["timestamp"] = rest[1]
    producer.produce(topic, key=key, value=value, partition=partition, **more)


def produce(records):
    producer = Producer(configuration)
    for record in records:
        put(producer, record)
    assert producer.flush(WAIT_SECONDS) == 0


def produce_many(topic, partitions, count, bytes=100, first=0):
    """Sends records whose values start with their number, distributed over the partitions in turn."""
    producer = Producer({**configuration, "linger.ms": 50, "batch.size": 500_000, "queue.buffering.max.messages": 500_000})
    filling = "x" * bytes
    for number in range(first, first + count):
        value = (str(number) + " " + filling)[:bytes]
        while True:
            try:
                producer.produce(topic, value, partition=number % partitions)
                break
            except BufferError:
                producer.poll(0.1)
        if number % MAYBE_FULL == 0:
            producer.poll(0)
    assert producer.flush(WAIT_SECONDS) == 0


def transaction(id, records, commits):
    producer = Producer({**configuration, "transactional.id": id})
    producer.init_transactions(WAIT_SECONDS)
    producer.begin_transaction()
    for record in records:
        put(producer, record)
    producer.flush(WAIT_SECONDS)
    if commits:
        producer.commit_transaction(WAIT_SECONDS)
    else:
        producer.abort_transaction(WAIT_SECONDS)


def await_groups():
    """Waits until the topic of the groups' offsets exists. Kafka creates it at the first request for a group.

    The request comes from a consumer, because the admin client hangs or crashes if it sends one too early."""
    deadline = time.time() + WAIT_SECONDS
    while True:
        consumer = Consumer({**configuration, "group.id": "first"})
        try:
            consumer.committed([TopicPartition("none", 0)], timeout=5)
            return
        except KafkaException:
            assert time.time() < deadline
            time.sleep(0.2)
        finally:
            consumer.close()


def group_lag(group, topic):
    """The output of consumer-group tools: the committed offset of the group, and its lag."""
    request = [ConsumerGroupTopicPartitions(group)]
    committed = done(admin.list_consumer_group_offsets(request))[0].topic_partitions
    committed = {place.partition: place.offset for place in committed if place.topic == topic}
    ends = admin.list_offsets(
        {TopicPartition(topic, partition): OffsetSpec.latest() for partition in committed},
        isolation_level=IsolationLevel.READ_UNCOMMITTED,
    )
    ends = {place.partition: future.result(WAIT_SECONDS).offset for place, future in ends.items()}
    return {str(partition): [offset, ends[partition] - offset] for partition, offset in committed.items()}


def read_all(topic):
    """[partition, offset, key, value] of every committed record."""
    consumer = Consumer(
        {**configuration, "group.id": "read-all", "enable.partition.eof": True, "isolation.level": "read_committed"}
    )
    partitions = admin.list_topics(topic, timeout=WAIT_SECONDS).topics[topic].partitions
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    text = lambda bytes: None if bytes is None else bytes.decode()
    records, left = [], set(partitions)
    while left:
        message = consumer.poll(WAIT_SECONDS)
        assert message is not None
        if message.error():
            left.discard(message.partition())
        elif message.partition() in left:
            records.append([message.partition(), message.offset(), text(message.key()), text(message.value())])
    consumer.close()
    return records


def await_fewer(topic, count):
    """Waits until compaction has left fewer records than `count` in partition 0, and returns their offsets."""
    deadline = time.time() + WAIT_SECONDS
    while True:
        consumer = Consumer({**configuration, "group.id": "compaction", "enable.partition.eof": True})
        consumer.assign([TopicPartition(topic, 0, 0)])
        offsets = []
        while True:
            message = consumer.poll(WAIT_SECONDS)
            assert message is not None
            if message.error():
                break
            offsets.append(message.offset())
        consumer.close()
        if len(offsets) < count:
            return offsets
        assert time.time() < deadline, f"{len(offsets)} records are left"
        time.sleep(0.5)


answers = []
for action in json.loads(sys.argv[2]):
    name = action.pop("do")
    answers.append(globals()[name](**action))
print(json.dumps(answers), flush=True)
# All output is written. librdkafka's threads must not run while the interpreter shuts down.
os._exit(0)
