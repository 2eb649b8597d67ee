//! Records in librdkafka's memory. Only this module and `topic_ids.rs` call its C interface.
//!
//! rdkafka's Rust interface has three faults for us. Its event for the end of a partition has no topic and no offset, and without
//! that offset a partition that ends with a transaction marker seems to lag forever. It creates an event, an allocation and a
//! clock reading for each record. And it panics on a header whose name is not UTF-8, which any producer can send.
//!
//! All partitions of a connection are forwarded to one queue, so that librdkafka's limits for reading ahead apply to all of
//! them together. A partition is forwarded *before* it is assigned, so that none of its records arrives elsewhere.

use std::borrow::Cow;
use std::ffi::{CStr, CString, NulError, c_char, c_void};
use std::fmt;
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::bindings::{
    rd_kafka_commit_queue, rd_kafka_consume_batch_queue, rd_kafka_event_destroy, rd_kafka_event_error,
    rd_kafka_header_cnt, rd_kafka_header_get_all, rd_kafka_headers_t, rd_kafka_message_destroy,
    rd_kafka_message_errstr, rd_kafka_message_headers, rd_kafka_message_t, rd_kafka_message_timestamp,
    rd_kafka_queue_destroy, rd_kafka_queue_forward, rd_kafka_queue_get_partition, rd_kafka_queue_length,
    rd_kafka_queue_new, rd_kafka_queue_poll, rd_kafka_queue_t, rd_kafka_timestamp_type_t, rd_kafka_topic_name,
};
use rdkafka::consumer::Consumer as _;
use rdkafka::types::{RDKafkaErrorCode, RDKafkaRespErr};

use super::connection::Consumer;

/// The queue to which all partitions of a connection are forwarded.
pub(super) struct RecordQueue {
    raw: NonNull<rd_kafka_queue_t>,
    /// Keeps the client alive: the queue must not outlive it.
    consumer: Arc<Consumer>,
}

// SAFETY: librdkafka guards its queues with locks, so they may be used from any thread.
unsafe impl Send for RecordQueue {}
// SAFETY: as above.
unsafe impl Sync for RecordQueue {}

impl fmt::Debug for RecordQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordQueue").field("length", &self.length()).finish_non_exhaustive()
    }
}

impl RecordQueue {
    /// None if librdkafka has no memory for a queue.
    pub(super) fn new(consumer: Arc<Consumer>) -> Option<Self> {
        // SAFETY: the client lives as long as `consumer`, which the queue keeps.
        let raw = NonNull::new(unsafe { rd_kafka_queue_new(consumer.client().native_ptr()) })?;
        Some(Self { raw, consumer })
    }

    /// Forwards the records of a partition to this queue. Must be called before the partition is assigned.
    pub(super) fn receive_from(&self, topic: &str, partition: i32) -> Result<(), NulError> {
        let topic = CString::new(topic)?;
        // SAFETY: the client is alive, the name is a C string, and a null result (only a producer gets one) is not used.
        unsafe {
            let source = rd_kafka_queue_get_partition(self.consumer.client().native_ptr(), topic.as_ptr(), partition);
            if !source.is_null() {
                rd_kafka_queue_forward(source, self.raw.as_ptr());
                rd_kafka_queue_destroy(source); // releases only this reference
            }
        }
        Ok(())
    }

    /// Takes at most `messages_max` messages that have arrived, without waiting. The batch may be empty.
    pub(super) fn poll(self: &Arc<Self>, messages_max: usize) -> Batch {
        self.take(messages_max, Duration::ZERO)
    }

    /// Takes the next message, and waits for it at most `wait`.
    pub(super) fn poll_one(self: &Arc<Self>, wait: Duration) -> Batch {
        self.take(1, wait)
    }

    /// Takes messages. librdkafka waits until it has *all* of `messages_max`: a wait for several mostly lasts the whole `wait`.
    fn take(self: &Arc<Self>, messages_max: usize, wait: Duration) -> Batch {
        let mut pointers: Vec<*mut rd_kafka_message_t> = vec![ptr::null_mut(); messages_max];
        let wait_ms = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: `pointers` has room for `messages_max`, and the queue is alive.
        let count =
            unsafe { rd_kafka_consume_batch_queue(self.raw.as_ptr(), wait_ms, pointers.as_mut_ptr(), pointers.len()) };
        // The count is negative if the queue cannot be polled at all. Then no message was taken.
        pointers.truncate(usize::try_from(count).unwrap_or(0));
        Batch { pointers, next: 0, _queue: self.clone() }
    }

    /// The number of messages that have arrived and are not polled yet.
    pub(super) fn length(&self) -> usize {
        // SAFETY: the queue is alive.
        unsafe { rd_kafka_queue_length(self.raw.as_ptr()) }
    }
}

impl Drop for RecordQueue {
    fn drop(&mut self) {
        // SAFETY: this is the only owner of the reference.
        unsafe { rd_kafka_queue_destroy(self.raw.as_ptr()) }
    }
}

/// Commits offsets to the consumer group asynchronously, and receives the results.
///
/// rdkafka gives no result of an asynchronous commit: librdkafka calls the callback that rdkafka implements only if it was
/// registered in a way that rdkafka does not use.
pub(super) struct CommitQueue {
    answers: RecordQueue,
}

impl fmt::Debug for CommitQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommitQueue").finish_non_exhaustive()
    }
}

impl CommitQueue {
    pub(super) fn new(consumer: Arc<Consumer>) -> Option<Self> {
        Some(Self { answers: RecordQueue::new(consumer)? })
    }

    /// Sends a commit. The result comes later, see [`CommitQueue::answer`].
    pub(super) fn commit(&self, offsets: &TopicPartitionList) -> Result<(), RDKafkaErrorCode> {
        // SAFETY: client, list and queue are alive, and librdkafka copies the list. Without a callback the result becomes an
        // event in the queue.
        let answer = unsafe {
            rd_kafka_commit_queue(
                self.answers.consumer.client().native_ptr(),
                offsets.ptr(),
                self.answers.raw.as_ptr(),
                None,
                ptr::null_mut(),
            )
        };
        if answer == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR { Ok(()) } else { Err(answer.into()) }
    }

    /// The result of a commit, if it has arrived.
    pub(super) fn answer(&self) -> Option<Result<(), RDKafkaErrorCode>> {
        // SAFETY: the queue is alive, the event is ours, and nothing of it is used after it is destroyed.
        let answer = unsafe {
            let event = rd_kafka_queue_poll(self.answers.raw.as_ptr(), 0);
            if event.is_null() {
                return None;
            }
            let answer = rd_kafka_event_error(event);
            rd_kafka_event_destroy(event);
            answer
        };
        Some(if answer == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR { Ok(()) } else { Err(answer.into()) })
    }
}

/// Messages taken from the queue. Each is returned to librdkafka when it is removed, the rest when the batch is dropped.
pub(super) struct Batch {
    pointers: Vec<*mut rd_kafka_message_t>,
    next: usize,
    /// Keeps the client alive: messages must not outlive it.
    _queue: Arc<RecordQueue>,
}

// SAFETY: a message belongs to the code that took it from the queue, and may be used and destroyed on any thread.
unsafe impl Send for Batch {}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("left", &(self.pointers.len() - self.next)).finish_non_exhaustive()
    }
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.next == self.pointers.len()
    }

    pub(super) fn first(&self) -> Option<Message<'_>> {
        let pointer = *self.pointers.get(self.next)?;
        // SAFETY: a message is destroyed only by `remove_first` and `drop`, which need the batch for themselves.
        unsafe { pointer.as_ref() }.map(|raw| Message { raw })
    }

    pub(super) fn remove_first(&mut self) {
        if let Some(pointer) = self.pointers.get(self.next) {
            self.next += 1;
            // SAFETY: the message came from the queue, and the increment above ensures that it is destroyed only once.
            unsafe { rd_kafka_message_destroy(*pointer) }
        }
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        while !self.is_empty() {
            self.remove_first();
        }
    }
}

/// One record, or one event of a partition, while it is in its batch.
#[derive(Clone, Copy)]
pub(super) struct Message<'a> {
    raw: &'a rd_kafka_message_t,
}

impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.topic(), self.partition(), self.offset())
    }
}

impl<'a> Message<'a> {
    /// The error code and text if this is an event; None if it is a record.
    pub(super) fn event(&self) -> Option<(RDKafkaErrorCode, Cow<'a, str>)> {
        if self.raw.err == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            return None;
        }
        // SAFETY: the text of a message with an error is a C string that lives as long as the message.
        let reason = unsafe { text(rd_kafka_message_errstr(self.raw)) };
        Some((self.raw.err.into(), reason))
    }

    /// A number that is the same for all messages of a topic in this connection, and cheaper to compare than the name.
    pub(super) fn topic_identity(&self) -> usize {
        self.raw.rkt as usize
    }

    pub(super) fn topic(&self) -> Cow<'a, str> {
        // SAFETY: the name lives as long as the topic, and the message holds a reference to the topic.
        unsafe { text(rd_kafka_topic_name(self.raw.rkt)) }
    }

    pub(super) fn partition(&self) -> i32 {
        self.raw.partition
    }

    pub(super) fn offset(&self) -> i64 {
        self.raw.offset
    }

    pub(super) fn key(&self) -> Option<&'a [u8]> {
        // SAFETY: pointer and length come from librdkafka, and the bytes live as long as the message.
        unsafe { bytes(self.raw.key, self.raw.key_len) }
    }

    pub(super) fn value(&self) -> Option<&'a [u8]> {
        // SAFETY: as for the key.
        unsafe { bytes(self.raw.payload, self.raw.len) }
    }

    /// The timestamp in milliseconds since 1970, and its type.
    pub(super) fn timestamp_ms(&self) -> Option<(i64, TimestampType)> {
        let mut kind = rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message is alive, and `kind` is ours.
        let timestamp_ms = unsafe { rd_kafka_message_timestamp(self.raw, &raw mut kind) };
        match kind {
            rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE => None,
            rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_CREATE_TIME => Some((timestamp_ms, TimestampType::Create)),
            rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME => {
                Some((timestamp_ms, TimestampType::LogAppend))
            }
        }
    }

    /// Calls `each` for every header and returns true if there are any. Bytes of a name that are not UTF-8 are replaced, as the
    /// Java client does.
    pub(super) fn headers(&self, mut each: impl FnMut(&str, Option<&[u8]>)) -> bool {
        let mut headers: *mut rd_kafka_headers_t = ptr::null_mut();
        // SAFETY: the message is alive. librdkafka parses the headers now and stores them in the message, although our reference
        // is const. That is sound because the message is not shared with another thread.
        let answer = unsafe { rd_kafka_message_headers(self.raw, &raw mut headers) };
        if answer != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR || headers.is_null() {
            return false;
        }
        // SAFETY: `headers` is valid: librdkafka just returned it.
        let count = unsafe { rd_kafka_header_cnt(headers) };
        for index in 0..count {
            let mut name: *const c_char = ptr::null();
            let mut value: *const c_void = ptr::null();
            let mut length = 0;
            // SAFETY: name and value live as long as the headers, so longer than this iteration.
            unsafe {
                let answer = rd_kafka_header_get_all(headers, index, &raw mut name, &raw mut value, &raw mut length);
                if answer == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
                    each(&text(name), bytes(value, length));
                }
            }
        }
        count > 0
    }
}

/// Who set the timestamp of a record: its producer, or the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TimestampType {
    Create,
    LogAppend,
}

/// A C string of librdkafka as text. Invalid UTF-8 is replaced; null is the empty text.
///
/// # Safety
///
/// `pointer` is null or a C string that lives for `'a`.
unsafe fn text<'a>(pointer: *const c_char) -> Cow<'a, str> {
    if pointer.is_null() {
        return Cow::Borrowed("");
    }
    // SAFETY: the caller guarantees it, and null is excluded above.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy()
}

/// Bytes of librdkafka; None if `pointer` is null.
///
/// # Safety
///
/// `pointer` is null, or points to `length` bytes that live for `'a`.
unsafe fn bytes<'a>(pointer: *const c_void, length: usize) -> Option<&'a [u8]> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: the caller guarantees it. With a length of 0 the pointer is not used.
    Some(if length == 0 { &[] } else { unsafe { slice::from_raw_parts(pointer.cast(), length) } })
}
