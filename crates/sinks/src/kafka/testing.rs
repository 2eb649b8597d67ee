//! For tests: a producer whose client has a fatal error.

use rdkafka::bindings::rd_kafka_test_fatal_error;
use rdkafka::producer::Producer as _;
use rdkafka::types::RDKafkaRespErr;

use super::Producer;

impl Producer {
    /// Raises a fatal error in the client, as librdkafka does when it can no longer keep the order of records.
    pub fn break_down(&self) {
        let fenced = RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
        // SAFETY: the client is alive, and the text is a C string.
        unsafe { rd_kafka_test_fatal_error(self.client.client().native_ptr(), fenced, c"a test".as_ptr()) };
    }
}
