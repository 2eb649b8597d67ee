//! Reads the body of a request within its bounds of size and time. The admission control accounts for every byte in memory.

use std::io::Read as _;
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use flate2::read::MultiGzDecoder;
use futures::StreamExt as _;
use tokio::time::timeout;

use super::admission::{Admission, Reservation};
use super::answer::Failure;
use super::options::Limits;

/// Most clients read the answer only after they have sent the whole body. So a body over the limit is read up to this size and
/// discarded.
const DISCARDED_BYTES_MAX: u64 = 64 << 20;
const DISCARD_TIMEOUT: Duration = Duration::from_secs(10);

/// A body in memory, and its reservation.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) bytes: Bytes,
    _reservation: Reservation,
}

pub(super) async fn read(
    headers: &HeaderMap,
    body: Body,
    limits: &Limits,
    admission: &Admission,
) -> Result<Received, Failure> {
    let encoding = headers.get(header::CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("?").trim());
    let is_gzip = match encoding.map(str::to_ascii_lowercase).as_deref() {
        None | Some("" | "identity") => false,
        Some("gzip" | "x-gzip") => true,
        Some(_) => return Err(Failure::unsupported("the only accepted content-encoding of a body is gzip")),
    };
    let mut stream = body.into_data_stream();
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > limits.body_bytes_max) {
        return Err(too_large(&mut stream, limits).await);
    }
    let mut reservation = admission.reserve();
    let received = match timeout(limits.read_timeout, receive(&mut stream, limits, &mut reservation)).await {
        Ok(received) => received,
        Err(_) => {
            let message = format!("the body did not come within {:?}", limits.read_timeout);
            return Err(Failure::new(StatusCode::REQUEST_TIMEOUT, message).closing());
        }
    };
    let bytes = match received {
        Ok(bytes) => bytes,
        Err(Stop::TooLarge) => return Err(too_large(&mut stream, limits).await),
        Err(Stop::Refused(failure)) => return Err(failure.closing()),
        Err(Stop::Broken) => return Err(Failure::bad_request("the body ended before it was complete").closing()),
    };
    if !is_gzip {
        return Ok(Received { bytes: bytes.into(), _reservation: reservation });
    }
    let bytes_max = limits.body_bytes_max;
    // Decompression occupies a thread too long for the async workers.
    let inflated = tokio::task::spawn_blocking(move || {
        let bytes = inflate(&bytes, bytes_max, &mut reservation)?;
        Ok(Received { bytes: bytes.into(), _reservation: reservation })
    });
    inflated.await.unwrap_or_else(|_| Err(Failure::internal()))
}

enum Stop {
    TooLarge,
    Refused(Failure),
    Broken,
}

async fn receive(stream: &mut BodyDataStream, limits: &Limits, reservation: &mut Reservation) -> Result<Vec<u8>, Stop> {
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| Stop::Broken)?;
        let length = (bytes.len() + chunk.len()) as u64;
        if length > limits.body_bytes_max {
            return Err(Stop::TooLarge);
        }
        reservation.grow_to(length).map_err(Stop::Refused)?;
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// Discards the rest of the body up to a bound. A client that still sends when the connection is closed would lose the answer.
async fn too_large(stream: &mut BodyDataStream, limits: &Limits) -> Failure {
    let discard = async {
        let mut discarded_bytes = 0;
        while let Some(Ok(chunk)) = stream.next().await {
            discarded_bytes += chunk.len() as u64;
            if discarded_bytes > DISCARDED_BYTES_MAX {
                return;
            }
        }
    };
    // The answer is the same with and without the rest.
    let _ = timeout(DISCARD_TIMEOUT, discard).await;
    Failure::too_large(format!("the body is larger than the limit of {} bytes", limits.body_bytes_max)).closing()
}

fn inflate(bytes: &[u8], bytes_max: u64, reservation: &mut Reservation) -> Result<Vec<u8>, Failure> {
    const STEP_BYTES: usize = 64 << 10;
    let mut decoder = MultiGzDecoder::new(bytes);
    let mut inflated = Vec::new();
    let mut step = vec![0; STEP_BYTES];
    loop {
        let count = decoder.read(&mut step).map_err(|_| Failure::bad_request("the body is not gzip"))?;
        if count == 0 {
            return Ok(inflated);
        }
        let length = (inflated.len() + count) as u64;
        if length > bytes_max {
            return Err(Failure::too_large(format!(
                "the decompressed body is larger than the limit of {bytes_max} bytes"
            )));
        }
        reservation.grow_to(bytes.len() as u64 + length)?;
        inflated.extend_from_slice(step.get(..count).unwrap_or_default());
    }
}

/// The media type in lower case, without parameters. A charset other than UTF-8 is refused, since JSON is UTF-8.
pub(super) fn media_type(headers: &HeaderMap) -> Result<Option<String>, Failure> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(None) };
    let text = value.to_str().unwrap_or("?").to_ascii_lowercase();
    let mut parts = text.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default().to_owned();
    for parameter in parts {
        let charset = parameter.strip_prefix("charset=").map(|charset| charset.trim_matches('"'));
        if charset.is_some_and(|charset| charset != "utf-8" && charset != "utf8") {
            return Err(Failure::unsupported("the charset of a body must be UTF-8"));
        }
    }
    Ok(Some(kind))
}
