//! Reads the settings of a topic with the client of the producer. This is the only place here that calls the C interface of
//! librdkafka.
//!
//! The admin client of rdkafka could do the same. But it is a second connection whose events nothing handles: it gets no tokens
//! for the IAM of MSK, and keeps every log line forever.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char};
use std::ptr::{self, NonNull};
use std::slice;
use std::time::Duration;

use rdkafka::bindings::{
    rd_kafka_AdminOptions_destroy, rd_kafka_AdminOptions_new, rd_kafka_AdminOptions_set_request_timeout,
    rd_kafka_ConfigEntry_is_sensitive, rd_kafka_ConfigEntry_name, rd_kafka_ConfigEntry_value,
    rd_kafka_ConfigResource_configs, rd_kafka_ConfigResource_destroy, rd_kafka_ConfigResource_error,
    rd_kafka_ConfigResource_new, rd_kafka_ConfigResource_t, rd_kafka_DescribeConfigs,
    rd_kafka_DescribeConfigs_result_resources, rd_kafka_ResourceType_t, rd_kafka_admin_op_t,
    rd_kafka_event_DescribeConfigs_result, rd_kafka_event_destroy, rd_kafka_event_error, rd_kafka_event_t,
    rd_kafka_queue_destroy, rd_kafka_queue_new, rd_kafka_queue_poll,
};
use rdkafka::client::{Client, ClientContext};
use rdkafka::types::{RDKafkaErrorCode, RDKafkaRespErr};

/// librdkafka responds when its own timeout is over. This time is added, for the case that it does not.
const GRACE: Duration = Duration::from_secs(1);

/// The settings of a topic, by name. Blocks until the response. The error is a sentence.
pub(super) fn of_topic<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    timeout: Duration,
) -> Result<BTreeMap<String, String>, String> {
    let name = CString::new(topic).map_err(|error| error.to_string())?;
    let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    let wait_ms = i32::try_from((timeout + GRACE).as_millis()).unwrap_or(i32::MAX);
    let no_memory = || "librdkafka has no memory for the request".to_owned();
    // SAFETY: the client outlives this call. Each object that librdkafka creates here is destroyed here once, after its last use.
    // The request copies what it needs of the topic and the options.
    unsafe {
        let queue = NonNull::new(rd_kafka_queue_new(client.native_ptr())).ok_or_else(no_memory)?;
        let options =
            rd_kafka_AdminOptions_new(client.native_ptr(), rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
        // Only a timeout out of range is refused. Then the timeout of the client applies.
        rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, ptr::null_mut(), 0);
        let resource = rd_kafka_ConfigResource_new(rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC, name.as_ptr());
        let mut resources = [resource];
        rd_kafka_DescribeConfigs(client.native_ptr(), resources.as_mut_ptr(), 1, options, queue.as_ptr());
        rd_kafka_ConfigResource_destroy(resource);
        rd_kafka_AdminOptions_destroy(options);
        let event = rd_kafka_queue_poll(queue.as_ptr(), wait_ms);
        let answer = NonNull::new(event).map_or_else(|| Err("there was no response".to_owned()), |event| read(event));
        if !event.is_null() {
            rd_kafka_event_destroy(event);
        }
        rd_kafka_queue_destroy(queue.as_ptr());
        answer
    }
}

/// Reads the response. SAFETY: `event` is from librdkafka and not destroyed yet.
unsafe fn read(event: NonNull<rd_kafka_event_t>) -> Result<BTreeMap<String, String>, String> {
    // SAFETY: everything that the event points to lives as long as the event, and no reference to it leaves this function.
    unsafe {
        succeeded(rd_kafka_event_error(event.as_ptr()))?;
        let result = rd_kafka_event_DescribeConfigs_result(event.as_ptr());
        if result.is_null() {
            return Err("the response belongs to another request".to_owned());
        }
        let mut count = 0;
        let resources = rd_kafka_DescribeConfigs_result_resources(result, &raw mut count);
        let mut configs = BTreeMap::new();
        for resource in elements(resources, count) {
            succeeded(rd_kafka_ConfigResource_error(*resource))?;
            configs.extend(entries(*resource));
        }
        Ok(configs)
    }
}

/// The settings of a resource, without secret ones. SAFETY: `resource` belongs to an event that is not destroyed yet.
unsafe fn entries(resource: *const rd_kafka_ConfigResource_t) -> Vec<(String, String)> {
    // SAFETY: the caller guarantees it (see the documentation of the function).
    unsafe {
        let mut count = 0;
        let entries = rd_kafka_ConfigResource_configs(resource, &raw mut count);
        let shown = elements(entries, count).iter().filter(|entry| rd_kafka_ConfigEntry_is_sensitive(**entry) == 0);
        shown
            .filter_map(|entry| {
                Some((text(rd_kafka_ConfigEntry_name(*entry))?, text(rd_kafka_ConfigEntry_value(*entry))?))
            })
            .collect()
    }
}

fn succeeded(code: RDKafkaRespErr) -> Result<(), String> {
    if code == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
        return Ok(());
    }
    Err(RDKafkaErrorCode::from(code).to_string())
}

/// A C array as a slice. SAFETY: `pointer` is null, or points to `count` elements that live for `'a`.
unsafe fn elements<'a, T>(pointer: *const T, count: usize) -> &'a [T] {
    if pointer.is_null() || count == 0 {
        return &[];
    }
    // SAFETY: the caller guarantees it (see the documentation of the function).
    unsafe { slice::from_raw_parts(pointer, count) }
}

/// A C string as text. SAFETY: `pointer` is null or a C string.
unsafe fn text(pointer: *const c_char) -> Option<String> {
    // SAFETY: the caller guarantees it (see the documentation of the function).
    (!pointer.is_null()).then(|| unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned())
}
