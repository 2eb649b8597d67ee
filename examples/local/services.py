"""The real services of the pipeline on one machine: MariaDB, Apache Kafka, an S3 server, and an emulator of Kinesis.

Each service listens on a free port of 127.0.0.1, has its own folder in `work`, and ends with this process.
"""

import ctypes
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import boto3
import botocore.exceptions
import confluent_kafka.admin
import pymysql

READY_WITHIN_S = 120
STOP_WITHIN_S = 30
PR_SET_PDEATHSIG = 1
REGION = "eu-west-1"


def free_ports(count):
    """Distinct ports that are free at this moment."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def die_with_parent():
    """Runs in the child before the service starts. If the pipeline is killed, its services end too."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Process:
    """A program that runs in the background. Its output goes to a file."""

    def __init__(self, name, command, work, environment=None, stop_signal=signal.SIGTERM):
        self.name = name
        self.log = work / f"{name}.log"
        self.stop_signal = stop_signal
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(
                [str(word) for word in command],
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=work,
                preexec_fn=die_with_parent,
            )

    def await_ready(self, is_ready):
        """Waits until `is_ready` returns a true value and raises no error."""
        until = time.monotonic() + READY_WITHIN_S
        why = None
        while time.monotonic() < until:
            if self.child.poll() is not None:
                raise SystemExit(f"{self.name} ended with {self.child.returncode}:\n{self.last_words()}")
            try:
                if is_ready():
                    return self
            except (OSError, pymysql.Error, botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
                why = error
            time.sleep(0.1)
        raise SystemExit(f"{self.name} was not ready within {READY_WITHIN_S} s ({why}):\n{self.last_words()}")

    def stop(self):
        """Ends the process, and returns its exit code."""
        if self.child.poll() is None:
            self.child.send_signal(self.stop_signal)
        try:
            return self.child.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.child.kill()
            return self.child.wait()

    def last_words(self):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])


class Mariadb:
    """A MariaDB with a database `pinterest`, and a user who can read it."""

    user, password, database = "pinterest", secrets.token_urlsafe(12), "pinterest"

    def __init__(self, installed, work):
        root = installed / "mariadb"
        environment = {"LD_LIBRARY_PATH": str(next(root.glob("usr/lib/*-linux-gnu")))}
        data = work / "mariadb"
        subprocess.run(
            [root / "usr/bin/mariadb-install-db", "--no-defaults", "--user=root", f"--basedir={root}/usr",
             f"--datadir={data}", "--auth-root-authentication-method=normal", "--skip-test-db"],
            env={**os.environ, **environment}, check=True, capture_output=True,
        )
        [self.port] = free_ports(1)
        self.process = Process("mariadb", [
            root / "usr/sbin/mariadbd", "--no-defaults", "--user=root", f"--basedir={root}/usr", f"--datadir={data}",
            f"--socket={data}/s.sock", "--bind-address=127.0.0.1", f"--port={self.port}", "--skip-name-resolve",
            "--character-set-server=utf8mb4",
        ], work, environment).await_ready(lambda: self.connect("root", "", None))
        with self.connect("root", "", None) as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {self.database}")
            cursor.execute(f"CREATE USER {self.user}@'%%' IDENTIFIED BY %s", (self.password,))
            cursor.execute(f"GRANT SELECT ON {self.database}.* TO {self.user}@'%'")

    def connect(self, user="root", password="", database=database):
        return pymysql.connect(
            host="127.0.0.1", port=self.port, user=user, password=password, database=database, autocommit=True,
        )

    def write_credentials(self, path):
        path.touch(mode=0o600)
        path.write_text(
            f"HOST: 127.0.0.1\nPORT: {self.port}\nUSER: {self.user}\nPASSWORD: {self.password}\n"
            f"DATABASE: {self.database}\n"
        )


class Kafka:
    """A broker of Apache Kafka, one node, without ZooKeeper."""

    def __init__(self, installed, work):
        client, controller = free_ports(2)
        self.brokers = f"127.0.0.1:{client}"
        properties = work / "kafka.properties"
        properties.write_text("\n".join([
            "process.roles=broker,controller", "node.id=1",
            f"controller.quorum.voters=1@127.0.0.1:{controller}",
            f"listeners=CLIENT://{self.brokers},CONTROLLER://127.0.0.1:{controller}",
            f"advertised.listeners=CLIENT://{self.brokers}",
            "listener.security.protocol.map=CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "controller.listener.names=CONTROLLER", "inter.broker.listener.name=CLIENT",
            f"log.dirs={work}/kafka", "auto.create.topics.enable=false",
            "offsets.topic.replication.factor=1", "offsets.topic.num.partitions=1",
            "transaction.state.log.replication.factor=1", "transaction.state.log.min.isr=1",
            "group.initial.rebalance.delay.ms=0", "",
        ]))
        java = ["java", "-Xmx512m", "-cp", f"{installed}/kafka/*", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
        cluster = "qsBQN1BRRFeIyxOVbI0xeQ"
        subprocess.run([*java, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", properties],
                       check=True, capture_output=True)
        self.process = Process("kafka", [*java, "kafka.Kafka", properties], work)
        self.process.await_ready(lambda: socket.create_connection(("127.0.0.1", client), 1))

    def create_topics(self, names, partitions):
        admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": self.brokers, "log_level": 0})
        topics = [confluent_kafka.admin.NewTopic(name, num_partitions=partitions) for name in names]
        for created in admin.create_topics(topics, request_timeout=READY_WITHIN_S).values():
            created.result()


class S3:
    """SeaweedFS, an S3 server that checks signatures and supports conditional PUT."""

    key, secret = "PIPELINE", secrets.token_urlsafe(24)

    def __init__(self, installed, work):
        ports = free_ports(8)
        names = ["s3.port", "s3.port.grpc", "master.port", "master.port.grpc", "volume.port", "volume.port.grpc",
                 "filer.port", "filer.port.grpc"]
        self.endpoint = f"http://127.0.0.1:{ports[0]}"
        configuration = work / "s3.json"
        configuration.touch(mode=0o600)
        configuration.write_text(
            f'{{"identities": [{{"name": "pipeline", "actions": ["Admin", "Read", "Write", "List", "Tagging"],'
            f' "credentials": [{{"accessKey": "{self.key}", "secretKey": "{self.secret}"}}]}}]}}'
        )
        (work / "s3").mkdir()
        # Its folder is not kept, so a slow, clean stop is not necessary.
        self.process = Process("s3", [
            installed / "python/bin/weed", "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3",
            "-master.telemetry=false", "-s3.port.iceberg=0", "-s3.port.lance=0", "-master.volumeSizeLimitMB=64",
            "-volume.max=100", f"-dir={work}/s3", f"-s3.config={configuration}",
            *[f"-{name}={port}" for name, port in zip(names, ports, strict=True)],
        ], work, stop_signal=signal.SIGKILL)
        self.client = boto3.client("s3", endpoint_url=self.endpoint, region_name=REGION,
                                   aws_access_key_id=self.key, aws_secret_access_key=self.secret)

    def create_bucket(self, name):
        self.process.await_ready(lambda: self.client.create_bucket(Bucket=name))
        self.process.await_ready(lambda: self.client.put_object(Bucket=name, Key="ready", Body=b""))
        self.client.delete_object(Bucket=name, Key="ready")


class Kinesis:
    """kinesalite, an emulator with the shards and sequence numbers of Kinesis."""

    def __init__(self, installed, work):
        [port] = free_ports(1)
        self.endpoint = f"http://127.0.0.1:{port}"
        loopback = Path(__file__).parents[2] / "tests/services/loopback.cjs"
        self.process = Process("kinesis", [
            shutil.which("node"), "--require", loopback, installed / "node_modules/kinesalite/cli.js",
            "--port", port, "--createStreamMs", 50, "--shardLimit", 10,
        ], work)
        self.process.await_ready(lambda: socket.create_connection(("127.0.0.1", port), 1))
