//! Kafka properties that are refused, each with the reason for the error message.
//!
//! Some are refused for every client. Others are refused only for readers or only for producers, because they would break a
//! guarantee of that side.

/// What a client is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Reader,
    Writer,
}

impl Role {
    /// The reason why a client in this role refuses the property; None if it does not.
    pub(super) fn refusal(self, name: &str) -> Option<&'static str> {
        let own: &[(&str, &str)] = match self {
            Self::Reader => &READERS,
            Self::Writer => &WRITERS,
        };
        let refusal = ALL.iter().chain(own).find(|(refused, _)| *refused == name);
        refusal.map(|(_, reason)| *reason)
    }
}

const JAVA: &str = "it names a Java class";
const CODE: &str = "it would load code";

const ALL: [(&str, &str); 10] = [
    ("interceptor.classes", JAVA),
    ("metric.reporters", JAVA),
    ("security.providers", JAVA),
    ("plugin.library.paths", CODE),
    ("ssl.engine.location", CODE),
    ("ssl.providers", CODE),
    ("sasl.login.callback.handler.class", JAVA),
    ("debug", "it would write the sent data to the log"),
    ("enable.ssl.certificate.verification", "without verification, TLS does not protect the connection"),
    ("test.mock.num.brokers", "it would connect to no real broker"),
];

const COMMITS: &str = "pinsql itself commits the offsets of the records that are in the table";
const ALL_PARTITIONS: &str = "a table reads all partitions itself, without a group that assigns them";
const NO_MEMBER: &str = "a table is not a member of its consumer group, so no member can time out";
const RETRIES: &str = "pinsql retries without a limit";
const MEMORY: &str = "--memory sets how much is read ahead";

const READERS: [(&str, &str); 20] = [
    ("auto.offset.reset", "startingOffsets sets where a new table starts, and its checkpoint where it continues"),
    ("enable.auto.commit", COMMITS),
    ("auto.commit.interval.ms", COMMITS),
    ("enable.auto.offset.store", COMMITS),
    ("enable.partition.eof", "pinsql sets it itself"),
    ("key.deserializer", "keys are bytes; SQL decodes them"),
    ("value.deserializer", "values are bytes; SQL decodes them"),
    ("partition.assignment.strategy", ALL_PARTITIONS),
    ("group.instance.id", ALL_PARTITIONS),
    ("group.protocol", ALL_PARTITIONS),
    ("group.remote.assignor", ALL_PARTITIONS),
    ("max.poll.records", "maxOffsetsPerTrigger bounds a micro-batch"),
    ("max.poll.interval.ms", NO_MEMBER),
    ("session.timeout.ms", NO_MEMBER),
    ("heartbeat.interval.ms", NO_MEMBER),
    ("default.api.timeout.ms", RETRIES),
    ("request.timeout.ms", RETRIES),
    ("queued.max.messages.kbytes", MEMORY),
    ("queued.min.messages", MEMORY),
    ("allow.auto.create.topics", "reading never creates topics"),
];

const ALL_REPLICAS: &str = "pinsql needs every record on all in-sync replicas, exactly once";
const DELIVERY: &str = "pinsql itself sets the timeout for the delivery of a record";

const WRITERS: [(&str, &str); 15] = [
    ("acks", ALL_REPLICAS),
    ("request.required.acks", ALL_REPLICAS),
    ("enable.idempotence", ALL_REPLICAS),
    ("enable.gapless.guarantee", ALL_REPLICAS),
    ("delivery.timeout.ms", DELIVERY),
    ("message.timeout.ms", DELIVERY),
    ("transactional.id", "pinsql itself names its transactions"),
    ("max.block.ms", "pinsql itself waits for space in the queue"),
    ("buffer.memory", "use queue.buffering.max.kbytes, in kilobytes"),
    ("key.serializer", "keys are bytes"),
    ("value.serializer", "values are bytes"),
    ("partitioner.class", "it names a Java class; see `partitioner` of librdkafka"),
    ("delivery.report.only.error", "pinsql needs a delivery report for each record"),
    ("dr_cb", "pinsql needs a delivery report for each record"),
    ("dr_msg_cb", "pinsql needs a delivery report for each record"),
];
