"""Reads a topic to its end with confluent-kafka: BROKERS TOPIC. Shows every message as it is."""

import sys

import confluent_kafka as kafka

from payloads import say

brokers, topic = sys.argv[1:]
say(version=kafka.__version__)
consumer = kafka.Consumer(
    {"bootstrap.servers": brokers, "group.id": f"{topic}-confluent", "enable.partition.eof": True}
)
partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
consumer.assign([kafka.TopicPartition(topic, partition, kafka.OFFSET_BEGINNING) for partition in partitions])
n_open = len(partitions)
while n_open:
    message = consumer.poll(30)
    if message is None:
        raise SystemExit("no message and no end for 30 s")
    if message.error():
        if message.error().code() != kafka.KafkaError._PARTITION_EOF:
            raise kafka.KafkaException(message.error())
        n_open -= 1
        continue
    say(
        partition=message.partition(),
        offset=message.offset(),
        key=message.key().decode(),
        value=message.value().hex(),
        headers=[[name, value.decode()] for name, value in message.headers()],
    )
consumer.close()
