//! The ids of topics (KIP-516): a topic that is deleted and created again has another id.
//!
//! rdkafka's Rust interface does not return them, so this module calls the C interface, as `native.rs` does.

use std::collections::BTreeSet;
use std::ffi::{CStr, CString, c_char, c_int};
use std::ptr::{self, NonNull};
use std::time::Duration;

use rdkafka::bindings::{
    rd_kafka_AdminOptions_destroy, rd_kafka_AdminOptions_new, rd_kafka_AdminOptions_set_broker,
    rd_kafka_AdminOptions_set_request_timeout, rd_kafka_DescribeTopics, rd_kafka_DescribeTopics_result_topics,
    rd_kafka_TopicCollection_destroy, rd_kafka_TopicCollection_of_topic_names, rd_kafka_TopicDescription_error,
    rd_kafka_TopicDescription_name, rd_kafka_TopicDescription_t, rd_kafka_TopicDescription_topic_id,
    rd_kafka_Uuid_base64str, rd_kafka_Uuid_least_significant_bits, rd_kafka_Uuid_most_significant_bits,
    rd_kafka_admin_op_t, rd_kafka_error_code, rd_kafka_event_DescribeTopics_result, rd_kafka_event_destroy,
    rd_kafka_event_error, rd_kafka_queue_destroy, rd_kafka_queue_new, rd_kafka_queue_poll,
};
use rdkafka::consumer::Consumer as _;
use rdkafka::metadata::MetadataBroker;
use rdkafka::types::{RDKafkaErrorCode, RDKafkaRespErr};

use super::connection::Consumer;
use super::error::KafkaFailure;
use super::offsets::TopicIds;

const TOPIC_IDS: &str = "the brokers did not return the ids of the topics";

/// How much longer than the request this module waits for its answer. librdkafka answers a request that timed out too.
const ANSWER_WAIT: Duration = Duration::from_secs(1);

/// The ids of `topics`, as Kafka's tools print them. A topic without an id is left out: it does not exist, this user may not
/// describe it, or the brokers are older than version 2.8.
pub(super) fn find(
    consumer: &Consumer,
    topics: &BTreeSet<String>,
    wait_max: Duration,
) -> Result<TopicIds, KafkaFailure> {
    if topics.is_empty() {
        return Ok(TopicIds::new());
    }
    let failed = |reason: String| KafkaFailure::Request { what: TOPIC_IDS, reason };
    let names: Result<Vec<CString>, _> = topics.iter().map(|topic| CString::new(topic.as_str())).collect();
    let names = names.map_err(|error| failed(error.to_string()))?;
    let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    let no_memory = || failed("librdkafka has no memory for the request".to_owned());
    // Any broker knows the ids. By default, the request waits for the controller.
    let metadata = consumer.fetch_metadata(topics.first().map(String::as_str), wait_max);
    let metadata = metadata.map_err(|error| failed(error.to_string()))?;
    let broker =
        metadata.brokers().first().map(MetadataBroker::id).ok_or_else(|| failed("there is no broker".to_owned()))?;
    let client = consumer.client().native_ptr();
    // SAFETY: the client lives as long as `consumer`. librdkafka copies the names. Each pointer is freed once, by its owner.
    unsafe {
        let collection = rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
        let collection = Owned::new(collection, rd_kafka_TopicCollection_destroy).ok_or_else(no_memory)?;
        let options = rd_kafka_AdminOptions_new(client, rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
        let options = Owned::new(options, rd_kafka_AdminOptions_destroy).ok_or_else(no_memory)?;
        rd_kafka_AdminOptions_set_request_timeout(options.raw(), milliseconds(wait_max), ptr::null_mut(), 0);
        rd_kafka_AdminOptions_set_broker(options.raw(), broker, ptr::null_mut(), 0);
        let queue = Owned::new(rd_kafka_queue_new(client), rd_kafka_queue_destroy).ok_or_else(no_memory)?;
        rd_kafka_DescribeTopics(client, collection.raw(), options.raw(), queue.raw());
        let event = rd_kafka_queue_poll(queue.raw(), milliseconds(wait_max + ANSWER_WAIT));
        let event = Owned::new(event, rd_kafka_event_destroy).ok_or_else(|| failed("no answer in time".to_owned()))?;
        match RDKafkaErrorCode::from(rd_kafka_event_error(event.raw())) {
            RDKafkaErrorCode::NoError => {}
            // The brokers are older than topic ids.
            RDKafkaErrorCode::UnsupportedFeature => return Ok(TopicIds::new()),
            error => return Err(failed(error.to_string())),
        }
        let result = rd_kafka_event_DescribeTopics_result(event.raw());
        if result.is_null() {
            return Err(failed("the answer describes no topics".to_owned()));
        }
        let mut count = 0;
        let described = rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        let described = (0..if described.is_null() { 0 } else { count }).map(|index| *described.add(index));
        Ok(described.filter_map(|topic| id_of(topic)).collect())
    }
}

/// The name and the id of a described topic. None if it has no id.
///
/// # Safety
///
/// `topic` is a description in an event that is alive.
unsafe fn id_of(topic: *const rd_kafka_TopicDescription_t) -> Option<(String, String)> {
    // SAFETY: the caller guarantees that the description is alive, and so are its name and its id.
    unsafe {
        if rd_kafka_error_code(rd_kafka_TopicDescription_error(topic)) != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            return None;
        }
        let (name, id) = (rd_kafka_TopicDescription_name(topic), rd_kafka_TopicDescription_topic_id(topic));
        if name.is_null() || id.is_null() {
            return None;
        }
        if (rd_kafka_Uuid_most_significant_bits(id), rd_kafka_Uuid_least_significant_bits(id)) == (0, 0) {
            return None;
        }
        let text = rd_kafka_Uuid_base64str(id);
        if text.is_null() {
            return None;
        }
        let owned = |text: *const c_char| CStr::from_ptr(text).to_string_lossy().into_owned();
        Some((owned(name), owned(text)))
    }
}

/// A time for librdkafka, which accepts up to an hour.
fn milliseconds(time: Duration) -> c_int {
    const HOUR_MS: u128 = 3_600_000;
    c_int::try_from(time.as_millis().clamp(1, HOUR_MS)).unwrap_or(1)
}

/// A pointer of librdkafka, and the function that frees it.
struct Owned<T> {
    pointer: NonNull<T>,
    free: unsafe extern "C" fn(*mut T),
}

impl<T> Owned<T> {
    fn new(pointer: *mut T, free: unsafe extern "C" fn(*mut T)) -> Option<Self> {
        NonNull::new(pointer).map(|pointer| Self { pointer, free })
    }

    fn raw(&self) -> *mut T {
        self.pointer.as_ptr()
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: this is the only owner, and `free` belongs to the type of the pointer.
        unsafe { (self.free)(self.pointer.as_ptr()) }
    }
}
