//! Unpacks aggregates: records that the Kinesis Producer Library (KPL) packs into one record.
//!
//! An aggregate is four magic bytes, a protobuf message and the MD5 of the message
//! (<https://github.com/awslabs/amazon-kinesis-producer/blob/master/aggregation-format.md>). A record with a wrong digest or a
//! message that does not decode is an ordinary record, as in Amazon's client library (KCL). So nothing is lost, and SQL sees its
//! bytes.
//!
//! After a reshard an aggregate may be in a shard that does not own all its keys. The KPL detects this and sends the records with
//! foreign keys again, so the KCL skips them, and so does this module. Other producers of aggregates send nothing again. The
//! aggregates of the KPL always have the partition key `a`; all others are kept whole. (The KCL also drops the other records of
//! such an aggregate, although the KPL does not send these again.)

use std::ops::RangeInclusive;
use std::sync::Arc;

use bytes::Bytes;
use md5::{Digest, Md5};
use prost::Message;

use super::record::{RawRecord, UserRecord};

const MAGIC: [u8; 4] = [0xF3, 0x89, 0x9A, 0xC2];
const DIGEST_BYTES: usize = 16;
/// The partition key of all aggregates of the KPL, which sets an explicit hash key instead.
const PRODUCER_LIBRARY_KEY: &str = "a";

#[derive(Clone, PartialEq, Message)]
struct Aggregate {
    #[prost(string, repeated, tag = "1")]
    partition_keys: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    explicit_hash_keys: Vec<String>,
    #[prost(message, repeated, tag = "3")]
    records: Vec<Member>,
}

#[derive(Clone, PartialEq, Message)]
struct Member {
    #[prost(uint64, tag = "1")]
    partition_key_index: u64,
    #[prost(uint64, optional, tag = "2")]
    explicit_hash_key_index: Option<u64>,
    #[prost(bytes = "bytes", tag = "3")]
    data: Bytes,
}

/// Adds the records of `raw`: itself, or the records in it if it is an aggregate. `hash_keys` are those of its shard.
pub(super) fn unpack(raw: RawRecord, hash_keys: &RangeInclusive<u128>, into: &mut Vec<UserRecord>) {
    match members(&raw, hash_keys) {
        Some(mut members) => {
            if let Some(last) = members.last_mut() {
                last.ends_record = true;
            }
            into.append(&mut members);
        }
        None => into.push(UserRecord {
            sequence: raw.sequence,
            aggregate_index: None,
            ends_record: true,
            partition_key: raw.partition_key.into(),
            data: raw.data,
            arrival_us: raw.arrival_us,
        }),
    }
}

/// The records of an aggregate; None if `raw` is not an aggregate.
fn members(raw: &RawRecord, hash_keys: &RangeInclusive<u128>) -> Option<Vec<UserRecord>> {
    let aggregate = decode(&raw.data)?;
    let keys: Vec<Arc<str>> = aggregate.partition_keys.iter().map(|key| Arc::from(key.as_str())).collect();
    let is_resent_elsewhere = raw.partition_key == PRODUCER_LIBRARY_KEY;
    let mut members = Vec::with_capacity(aggregate.records.len());
    for (index, member) in (0u32..).zip(aggregate.records) {
        let key = keys.get(usize::try_from(member.partition_key_index).ok()?)?;
        let hash_key = match member.explicit_hash_key_index {
            Some(index) => aggregate.explicit_hash_keys.get(usize::try_from(index).ok()?)?.parse().ok()?,
            None => u128::from_be_bytes(Md5::digest(key.as_bytes()).into()),
        };
        if is_resent_elsewhere && !hash_keys.contains(&hash_key) {
            continue;
        }
        members.push(UserRecord {
            sequence: Arc::clone(&raw.sequence),
            aggregate_index: Some(index),
            ends_record: false,
            partition_key: Arc::clone(key),
            data: member.data,
            arrival_us: raw.arrival_us,
        });
    }
    Some(members)
}

fn decode(data: &Bytes) -> Option<Aggregate> {
    // As in the KCL, an empty message is not an aggregate.
    if data.len() <= MAGIC.len() + DIGEST_BYTES || !data.starts_with(&MAGIC) {
        return None;
    }
    let message = data.slice(MAGIC.len()..data.len() - DIGEST_BYTES);
    let digest = data.get(data.len() - DIGEST_BYTES..)?;
    if Md5::digest(&message).as_slice() != digest {
        return None;
    }
    // Decoded from `Bytes`, the members' data are slices of the record's: nothing is copied.
    Aggregate::decode(message).ok()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn pack(keys: &[&str], records: &[(u64, &[u8])]) -> Bytes {
        let aggregate = Aggregate {
            partition_keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            explicit_hash_keys: vec![],
            records: records
                .iter()
                .map(|(key, data)| Member {
                    partition_key_index: *key,
                    explicit_hash_key_index: None,
                    data: Bytes::copy_from_slice(data),
                })
                .collect(),
        };
        seal(&aggregate.encode_to_vec())
    }

    fn seal(message: &[u8]) -> Bytes {
        [&MAGIC, message, &Md5::digest(message)[..]].concat().into()
    }

    pub(in super::super) fn raw(sequence: &str, key: &str, data: impl Into<Bytes>) -> RawRecord {
        RawRecord { sequence: sequence.into(), partition_key: key.to_owned(), data: data.into(), arrival_us: 7 }
    }

    fn apart(record: RawRecord, hash_keys: RangeInclusive<u128>) -> Vec<(String, String, Option<u32>, bool)> {
        let mut records = Vec::new();
        unpack(record, &hash_keys, &mut records);
        let show = |record: UserRecord| {
            let data = String::from_utf8_lossy(&record.data).into_owned();
            (record.partition_key.to_string(), data, record.aggregate_index, record.ends_record)
        };
        records.into_iter().map(show).collect()
    }

    fn check(data: Bytes, expected: &[(&str, &str, Option<u32>, bool)]) {
        let expected: Vec<_> =
            expected.iter().map(|(key, data, index, ends)| ((*key).into(), (*data).into(), *index, *ends)).collect();
        assert_eq!(apart(raw("1", "outer", data), 0..=u128::MAX), expected);
    }

    #[test]
    fn an_aggregate_is_its_records() {
        let packed = pack(&["k", "l"], &[(0, b"one"), (1, b""), (0, b"three")]);
        check(packed, &[("k", "one", Some(0), false), ("l", "", Some(1), false), ("k", "three", Some(2), true)]);
        check(pack(&["k"], &[]), &[]);
        check(Bytes::from_static(b"{}"), &[("outer", "{}", None, true)]);
        check(Bytes::new(), &[("outer", "", None, true)]);
    }

    #[test]
    fn an_invalid_aggregate_is_an_ordinary_record() {
        let ordinary = |data: Bytes| {
            let records = apart(raw("1", "outer", data.clone()), 0..=u128::MAX);
            assert_eq!(records.len(), 1);
            assert_eq!(records[0], ("outer".into(), String::from_utf8_lossy(&data).into_owned(), None, true));
        };
        let mut wrong_digest = pack(&["k"], &[(0, b"one")]).to_vec();
        *wrong_digest.last_mut().unwrap() ^= 1;
        ordinary(wrong_digest.into());
        ordinary(Bytes::from_static(&MAGIC));
        ordinary(seal(b""));
        ordinary(seal(b"\xff\xff\xff"));
        // An index outside the list of partition keys.
        ordinary(pack(&["k"], &[(0, b"one"), (1, b"two")]));
    }

    /// Any cut or changed byte makes the aggregate an ordinary record, without a panic.
    #[test]
    fn damage_is_always_detected() {
        let packed = pack(&["k", "l"], &[(0, b"one"), (1, b"two")]);
        for end in 0..packed.len() {
            assert_eq!(apart(raw("1", "o", packed.slice(..end)), 0..=u128::MAX).len(), 1, "cut at {end}");
        }
        for place in 0..packed.len() {
            let mut damaged = packed.to_vec();
            damaged[place] ^= 0x20;
            assert_eq!(apart(raw("1", "o", damaged), 0..=u128::MAX).len(), 1, "changed at {place}");
        }
    }

    #[test]
    fn records_with_foreign_keys_are_skipped_only_in_aggregates_of_the_kpl() {
        // MD5 of "k" is 8ce4…, in the upper half; that of "l" is 2db9…, in the lower.
        let half = 1u128 << 127;
        let packed = || pack(&["k", "l"], &[(0, b"one"), (1, b"two"), (0, b"three")]);
        let kept: Vec<_> = apart(raw("1", "a", packed()), half..=u128::MAX);
        assert_eq!(kept, [("k".into(), "one".into(), Some(0), false), ("k".into(), "three".into(), Some(2), true)]);
        assert_eq!(apart(raw("1", "a", packed()), 0..=0), []);
        assert_eq!(apart(raw("1", "someone else's", packed()), half..=u128::MAX).len(), 3);
    }
}
