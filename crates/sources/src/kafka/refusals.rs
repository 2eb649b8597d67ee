//! Kafka properties that are not taken, each with the reason that its user is told.
//!
//! Some are refused to every client, others to one that reads or one that writes: what would break a promise of that side.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Reader,
    Writer,
}

impl Role {
    /// Why a client in this role does not take the property.
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
    ("debug", "it would put what is sent into the log"),
    ("enable.ssl.certificate.verification", "a connection that anybody can answer protects nothing"),
    ("test.mock.num.brokers", "it would reach no broker at all"),
];

const GROUP_TELLS: &str = "pinsql tells the consumer group what is in the table, and nothing else";
const ALL_PARTITIONS: &str = "a table reads all partitions, each with an offset of its own";
const NO_MEMBER: &str = "a table is no member of its consumer group, so no member can be too slow";
const AGAIN: &str = "pinsql tries again for as long as it takes";
const MEMORY: &str = "--memory says how much may be read ahead";

const READERS: [(&str, &str); 20] = [
    ("auto.offset.reset", "startingOffsets says where a new table begins, and its checkpoint where it goes on"),
    ("enable.auto.commit", GROUP_TELLS),
    ("auto.commit.interval.ms", GROUP_TELLS),
    ("enable.auto.offset.store", GROUP_TELLS),
    ("enable.partition.eof", "pinsql needs it itself"),
    ("key.deserializer", "keys are bytes; SQL takes them apart"),
    ("value.deserializer", "values are bytes; SQL takes them apart"),
    ("partition.assignment.strategy", ALL_PARTITIONS),
    ("group.instance.id", ALL_PARTITIONS),
    ("group.protocol", ALL_PARTITIONS),
    ("group.remote.assignor", ALL_PARTITIONS),
    ("max.poll.records", "maxOffsetsPerTrigger bounds a micro-batch"),
    ("max.poll.interval.ms", NO_MEMBER),
    ("session.timeout.ms", NO_MEMBER),
    ("heartbeat.interval.ms", NO_MEMBER),
    ("default.api.timeout.ms", AGAIN),
    ("request.timeout.ms", AGAIN),
    ("queued.max.messages.kbytes", MEMORY),
    ("queued.min.messages", MEMORY),
    ("allow.auto.create.topics", "reading makes no topics"),
];

const ALL_REPLICAS: &str = "a record counts as written when all replicas in sync have it, and is written once";
const DELIVERY: &str = "pinsql itself says how long a record may be on its way";

const WRITERS: [(&str, &str); 15] = [
    ("acks", ALL_REPLICAS),
    ("request.required.acks", ALL_REPLICAS),
    ("enable.idempotence", ALL_REPLICAS),
    ("enable.gapless.guarantee", ALL_REPLICAS),
    ("delivery.timeout.ms", DELIVERY),
    ("message.timeout.ms", DELIVERY),
    ("transactional.id", "pinsql itself names its transactions"),
    ("max.block.ms", "pinsql itself waits for room in the queue"),
    ("buffer.memory", "it is written queue.buffering.max.kbytes here"),
    ("key.serializer", "keys are bytes"),
    ("value.serializer", "values are bytes"),
    ("partitioner.class", "it names a Java class; see `partitioner` of librdkafka"),
    ("delivery.report.only.error", "pinsql has to hear of each record"),
    ("dr_cb", "pinsql has to hear of each record"),
    ("dr_msg_cb", "pinsql has to hear of each record"),
];
