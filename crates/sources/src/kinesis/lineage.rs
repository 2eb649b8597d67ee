//! Decides which shards to start, and which to remove from the position.
//!
//! A split or a merge closes shards and opens others. Records of one partition key keep their order only if a shard is started
//! after both its parents are read to the end. And no record is missed only if every shard is started, also one that was created
//! while no process was reading. Both follow from the service's list of shards and the position of the table alone.

use std::collections::BTreeMap;

use super::client::Shard;
use super::position::ShardPosition;

/// Shards that are not in the position and can be started now: each of their parents is read to the end, or is neither in the
/// position nor in the list.
pub(super) fn ready<'a>(listed: &'a [Shard], begun: &BTreeMap<String, ShardPosition>) -> Vec<&'a Shard> {
    let is_listed = |id: &str| listed.iter().any(|shard| shard.id == id);
    let is_read_out = |id: &String| match begun.get(id) {
        Some(position) => position.closed,
        // A parent that was never started but is still listed comes first.
        None => !is_listed(id),
    };
    listed.iter().filter(|shard| !begun.contains_key(&shard.id) && shard.parents.iter().all(is_read_out)).collect()
}

/// Shards that were not read to the end and that the service no longer lists: their retention has passed.
pub(super) fn vanished(listed: &[Shard], begun: &BTreeMap<String, ShardPosition>) -> Vec<String> {
    let is_listed = |id: &String| listed.iter().any(|shard| shard.id == *id);
    begun.iter().filter(|(id, position)| !position.closed && !is_listed(id)).map(|(id, _)| id.clone()).collect()
}

/// Shards that can leave the position: they are read to the end, the service no longer lists them, and all their listed children
/// are started. (A child that is not started would then look like a shard without parents, and its order would be lost.)
pub(super) fn forgettable(listed: &[Shard], begun: &BTreeMap<String, ShardPosition>) -> Vec<String> {
    let is_done = |id: &String, position: &ShardPosition| {
        position.closed
            && listed
                .iter()
                .all(|shard| shard.id != *id && (!shard.parents.contains(id) || begun.contains_key(&shard.id)))
    };
    begun.iter().filter(|(id, position)| is_done(id, position)).map(|(id, _)| id.clone()).collect()
}

/// True if a shard that is read to the end has listed children. Every closed shard has children, but the service may list them
/// a little later.
pub(super) fn has_children(listed: &[Shard], id: &str) -> bool {
    listed.iter().any(|shard| shard.parents.iter().any(|parent| parent == id))
}

#[cfg(test)]
mod tests {
    use super::super::position::Place;
    use super::*;

    /// `c<a,b` is the shard c with the parents a and b.
    fn listed(text: &str) -> Vec<Shard> {
        let shard = |text: &str| {
            let (id, parents) = text.split_once('<').unwrap_or((text, ""));
            let parents = parents.split(',').filter(|parent| !parent.is_empty()).map(str::to_owned).collect();
            Shard { id: id.to_owned(), parents, hash_keys: 0..=u128::MAX, is_closed: false }
        };
        text.split_whitespace().map(shard).collect()
    }

    /// `a!` is read to the end, `b` is started.
    fn begun(text: &str) -> BTreeMap<String, ShardPosition> {
        let shard = |text: &str| {
            let position = ShardPosition { place: Place::Start, closed: text.ends_with('!'), complete_to_ms: 0 };
            (text.trim_end_matches('!').to_owned(), position)
        };
        text.split_whitespace().map(shard).collect()
    }

    fn check(list: &str, position: &str, ready_ones: &str, vanished_ones: &str, forgettable_ones: &str) {
        let (list, position) = (listed(list), begun(position));
        let ids: Vec<_> = ready(&list, &position).iter().map(|shard| shard.id.as_str()).collect();
        assert_eq!(ids.join(" "), ready_ones, "ready");
        assert_eq!(vanished(&list, &position).join(" "), vanished_ones, "vanished");
        assert_eq!(forgettable(&list, &position).join(" "), forgettable_ones, "forgettable");
    }

    #[test]
    fn children_wait_for_both_parents() {
        check("a b c<a,b", "", "a b", "", "");
        check("a b c<a,b", "a b", "", "", "");
        check("a b c<a,b", "a! b", "", "", "");
        check("a b c<a,b", "a! b!", "c", "", "");
        check("a b<a c<a d<b e<b,c", "a!", "b c", "", "");
        check("a b<a c<a d<b e<b,c", "a! b! c", "d", "", "");
    }

    #[test]
    fn a_reshard_is_followed_although_no_process_was_reading() {
        // Split twice: the grandchildren wait for the child, which was never started.
        check("a b<a c<a d<b e<b", "a", "", "", "");
        check("a b<a c<a d<b e<b", "a!", "b c", "", "");
        // The parent's retention has passed: its records are gone, its children go on.
        check("b<a c<a", "a", "", "a", "");
        check("b<a c<a", "a!", "b c", "", "");
        // All that was known is gone.
        check("d<b e<c", "a", "d e", "a", "");
    }

    #[test]
    fn a_shard_is_forgotten_when_nothing_needs_it() {
        check("a b<a c<a", "a! b c", "", "", "");
        check("b<a c<a", "a! b", "c", "", "");
        check("b<a c<a", "a! b c", "", "", "a");
        check("b<a c<a", "a b c", "", "a", "");
        assert!(has_children(&listed("a b c<a,b"), "b"));
        assert!(!has_children(&listed("a b c<a,b"), "c"));
    }
}
