//! Admission control: bounds on the number of requests in progress and on the bytes of their bodies.
//!
//! A request over a bound is refused at once. A queue would hide the overload until the client times out, and the gateway would
//! then do the work for no one.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::answer::Failure;
use super::options::Limits;

/// A semaphore can acquire at most `u32::MAX` permits at a time, so one permit is a kilobyte.
const UNIT_BYTES: u64 = 1 << 10;

#[derive(Debug)]
pub(super) struct Admission {
    requests: Arc<Semaphore>,
    units: Arc<Semaphore>,
    requests_max: usize,
}

/// A guard for one request in progress.
#[derive(Debug)]
pub(super) struct Slot {
    _permit: OwnedSemaphorePermit,
}

/// A guard for the bytes of one body in memory. It grows with the body.
#[derive(Debug)]
pub(super) struct Reservation {
    units: Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
    held_bytes: u64,
}

impl Admission {
    pub(super) fn new(limits: &Limits) -> Self {
        let units = usize::try_from(limits.in_flight_bytes_max.div_ceil(UNIT_BYTES)).unwrap_or(usize::MAX);
        Self {
            requests: Arc::new(Semaphore::new(limits.requests_max.min(Semaphore::MAX_PERMITS))),
            units: Arc::new(Semaphore::new(units.min(Semaphore::MAX_PERMITS))),
            requests_max: limits.requests_max,
        }
    }

    /// Admits one more request, or returns the answer 503.
    pub(super) fn enter(&self) -> Result<Slot, Failure> {
        let permit = Arc::clone(&self.requests).try_acquire_owned();
        permit.map(|permit| Slot { _permit: permit }).map_err(|_| {
            Failure::overloaded(format!("the limit of {} requests in progress is reached", self.requests_max))
        })
    }

    pub(super) fn reserve(&self) -> Reservation {
        Reservation { units: Arc::clone(&self.units), held: None, held_bytes: 0 }
    }

    /// The number of requests in progress.
    pub(super) fn requests(&self) -> usize {
        self.requests_max.saturating_sub(self.requests.available_permits())
    }
}

impl Reservation {
    /// Reserves room for a body of `bytes` in total.
    pub(super) fn grow_to(&mut self, bytes: u64) -> Result<(), Failure> {
        if bytes <= self.held_bytes {
            return Ok(());
        }
        let units = (bytes - self.held_bytes).div_ceil(UNIT_BYTES);
        let permit =
            u32::try_from(units).ok().and_then(|units| Arc::clone(&self.units).try_acquire_many_owned(units).ok());
        let permit = permit.ok_or_else(|| {
            Failure::overloaded("the bodies of the requests in progress have reached the limit of their total size")
        })?;
        match &mut self.held {
            Some(held) => held.merge(permit),
            None => self.held = Some(permit),
        }
        self.held_bytes += units * UNIT_BYTES;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_over_a_bound_are_refused_until_there_is_room() {
        let admission = Admission::new(&Limits { requests_max: 2, in_flight_bytes_max: 10 << 10, ..Limits::default() });
        let first = admission.enter().unwrap();
        let _second = admission.enter().unwrap();
        assert!(admission.enter().is_err());
        assert_eq!(admission.requests(), 2);
        drop(first);
        assert!(admission.enter().is_ok());

        let (mut one, mut other) = (admission.reserve(), admission.reserve());
        one.grow_to(6 << 10).unwrap();
        one.grow_to(100).unwrap();
        other.grow_to(4 << 10).unwrap();
        assert!(other.grow_to((4 << 10) + 1).is_err());
        drop(one);
        other.grow_to(10 << 10).unwrap();
        assert!(admission.reserve().grow_to(u64::MAX).is_err());
    }
}
