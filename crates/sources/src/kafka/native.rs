//! Records as librdkafka holds them: the one place that calls its C interface.
//!
//! rdkafka's own interface would do but for three things. It tells that a partition has ended without saying which topic's,
//! nor at which offset, and without that offset a partition that ends with a transaction's marker seems to lag for ever. It
//! makes an event, an allocation and a look at the clock for each record. And it panics on a header whose name is not
//! UTF-8, which any producer can send.
//!
//! All partitions of a connection flow into one queue, so that librdkafka's bounds on what it reads ahead hold for all of
//! them together. A partition is led into the queue *before* it is assigned: then no record of it can turn up elsewhere.

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

/// The queue into which a connection's partitions flow.
pub(super) struct RecordQueue {
    raw: NonNull<rd_kafka_queue_t>,
    /// The queue must not outlive the client that it belongs to.
    consumer: Arc<Consumer>,
}

// SAFETY: librdkafka's queues are guarded by locks of their own and may be used from any thread.
unsafe impl Send for RecordQueue {}
// SAFETY: as above.
unsafe impl Sync for RecordQueue {}

impl fmt::Debug for RecordQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordQueue").field("length", &self.length()).finish_non_exhaustive()
    }
}

impl RecordQueue {
    /// `None` when there is no memory for it.
    pub(super) fn new(consumer: Arc<Consumer>) -> Option<Self> {
        // SAFETY: the client lives as long as `consumer`, which the queue keeps.
        let raw = NonNull::new(unsafe { rd_kafka_queue_new(consumer.client().native_ptr()) })?;
        Some(Self { raw, consumer })
    }

    /// Leads a partition's records into this queue. To be called before the partition is assigned.
    pub(super) fn receive_from(&self, topic: &str, partition: i32) -> Result<(), NulError> {
        let topic = CString::new(topic)?;
        // SAFETY: the client is alive, the name is a C string, and a null answer (which only a producer gets) is not used.
        unsafe {
            let source = rd_kafka_queue_get_partition(self.consumer.client().native_ptr(), topic.as_ptr(), partition);
            if !source.is_null() {
                rd_kafka_queue_forward(source, self.raw.as_ptr());
                rd_kafka_queue_destroy(source); // gives back this reference alone
            }
        }
        Ok(())
    }

    /// What has arrived, at most `messages_max`. An empty batch says that nothing has.
    pub(super) fn poll(self: &Arc<Self>, messages_max: usize) -> Batch {
        self.take(messages_max, Duration::ZERO)
    }

    /// The next message, for which it waits.
    pub(super) fn poll_one(self: &Arc<Self>, wait: Duration) -> Batch {
        self.take(1, wait)
    }

    /// librdkafka waits until it has *all* of `messages_max`, so to wait for many would be to wait to the end of `wait`.
    fn take(self: &Arc<Self>, messages_max: usize, wait: Duration) -> Batch {
        let mut pointers: Vec<*mut rd_kafka_message_t> = vec![ptr::null_mut(); messages_max];
        let wait_ms = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: `pointers` has room for `messages_max`, and the queue is alive.
        let count =
            unsafe { rd_kafka_consume_batch_queue(self.raw.as_ptr(), wait_ms, pointers.as_mut_ptr(), pointers.len()) };
        // A negative count is the answer to a queue that cannot be polled at all: nothing was taken out.
        pointers.truncate(usize::try_from(count).unwrap_or(0));
        Batch { pointers, next: 0, _queue: self.clone() }
    }

    /// Records that have arrived and were not polled yet.
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

/// Tells the consumer group offsets, and hears how that went.
///
/// Through rdkafka an asynchronous commit has no answer: its callback is one that librdkafka calls only when it was given
/// another way, which rdkafka does not use.
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

    /// Sends the offsets on their way.
    pub(super) fn commit(&self, offsets: &TopicPartitionList) -> Result<(), RDKafkaErrorCode> {
        // SAFETY: client, list and queue are alive, and librdkafka copies the list. Without a callback the answer
        // becomes an event of the queue.
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

    /// The answer to a commit, if one has come.
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

/// Messages taken out of the queue, and given back to librdkafka one by one as they are used up.
pub(super) struct Batch {
    pointers: Vec<*mut rd_kafka_message_t>,
    next: usize,
    /// Messages must not outlive the client.
    _queue: Arc<RecordQueue>,
}

// SAFETY: messages belong to whoever took them out of the queue, in whatever thread.
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
            // SAFETY: it came from the queue, and the step before makes sure that it is destroyed once.
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

/// One record, or one event of a partition.
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
    /// What happened, when this is no record.
    pub(super) fn event(&self) -> Option<(RDKafkaErrorCode, Cow<'a, str>)> {
        if self.raw.err == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            return None;
        }
        // SAFETY: the text of a message with an error is a C string that lives as long as the message.
        let reason = unsafe { text(rd_kafka_message_errstr(self.raw)) };
        Some((self.raw.err.into(), reason))
    }

    /// The same for all messages of a topic, and cheaper to compare than its name.
    pub(super) fn topic_identity(&self) -> usize {
        self.raw.rkt as usize
    }

    pub(super) fn topic(&self) -> Cow<'a, str> {
        // SAFETY: the name lives as long as the topic, of which the message holds a reference.
        unsafe { text(rd_kafka_topic_name(self.raw.rkt)) }
    }

    pub(super) fn partition(&self) -> i32 {
        self.raw.partition
    }

    pub(super) fn offset(&self) -> i64 {
        self.raw.offset
    }

    pub(super) fn key(&self) -> Option<&'a [u8]> {
        // SAFETY: librdkafka gives pointer and length of bytes that live as long as the message.
        unsafe { bytes(self.raw.key, self.raw.key_len) }
    }

    pub(super) fn value(&self) -> Option<&'a [u8]> {
        // SAFETY: as above.
        unsafe { bytes(self.raw.payload, self.raw.len) }
    }

    /// Milliseconds since 1970, and whether the broker set them.
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

    /// Calls `each` for every header, names with what is not UTF-8 replaced, as the Java client does. Tells whether there
    /// were any.
    pub(super) fn headers(&self, mut each: impl FnMut(&str, Option<&[u8]>)) -> bool {
        let mut headers: *mut rd_kafka_headers_t = ptr::null_mut();
        // SAFETY: the message is alive; librdkafka parses its headers now and keeps them with it. The pointer is const in
        // our hands only: the message is not shared with another thread.
        let answer = unsafe { rd_kafka_message_headers(self.raw, &raw mut headers) };
        if answer != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR || headers.is_null() {
            return false;
        }
        // SAFETY: `headers` was just given.
        let count = unsafe { rd_kafka_header_cnt(headers) };
        for index in 0..count {
            let mut name: *const c_char = ptr::null();
            let mut value: *const c_void = ptr::null();
            let mut length = 0;
            // SAFETY: name and value live as long as the headers, and so longer than this turn of the loop.
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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TimestampType {
    Create,
    LogAppend,
}

/// SAFETY: `pointer` is null or a C string that lives for `'a`.
unsafe fn text<'a>(pointer: *const c_char) -> Cow<'a, str> {
    if pointer.is_null() {
        return Cow::Borrowed("");
    }
    // SAFETY: as the caller says.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy()
}

/// SAFETY: `pointer` is null, or leads to `length` bytes that live for `'a`.
unsafe fn bytes<'a>(pointer: *const c_void, length: usize) -> Option<&'a [u8]> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: as the caller says; no bytes at all need no valid pointer.
    Some(if length == 0 { &[] } else { unsafe { slice::from_raw_parts(pointer.cast(), length) } })
}
