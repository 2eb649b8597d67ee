//! The objects that a stream has already read: by their paths, in memory and in the positions of a checkpoint.
//!
//! Without `maxFileAge` every path is kept for ever, since nothing else shows that an object was read. With it, the stream
//! ignores objects that are older than the latest object it has read, minus the age, as in Spark. So their paths need not be
//! kept.

use std::collections::HashMap;
use std::time::Duration;

use chrono::Utc;
use object_store::ObjectMeta;
use serde::{Deserialize, Serialize};

/// A position in the checkpoint.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TakenObjects {
    /// The paths without a time. They are kept for ever.
    #[serde(default)]
    taken: Vec<String>,
    /// With `maxFileAge`: paths, and when the objects were modified, in microseconds since 1970.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    dated: Vec<(String, i64)>,
    /// With `maxFileAge`: when the latest of all objects was modified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    latest_us: Option<i64>,
}

/// A set of objects.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// In microseconds.
    max_age_us: Option<i64>,
    /// By path, when the object was modified. `None` if the path is kept for ever.
    objects: HashMap<String, Option<i64>>,
    latest_us: Option<i64>,
}

impl Taken {
    pub(super) fn of(position: TakenObjects, max_age: Option<Duration>) -> Self {
        let TakenObjects { taken, dated, latest_us } = position;
        let max_age_us = max_age.map(|age| i64::try_from(age.as_micros()).unwrap_or(i64::MAX));
        let forever = taken.into_iter().map(|path| (path, None));
        let dated = dated.into_iter().map(|(path, at)| (path, max_age_us.map(|_| at)));
        let mut set = Self { max_age_us, objects: forever.chain(dated).collect(), latest_us };
        set.forget();
        set
    }

    pub(super) fn into_position(self) -> TakenObjects {
        let Self { max_age_us, objects, latest_us } = self;
        let mut position = TakenObjects { latest_us: latest_us.filter(|_| max_age_us.is_some()), ..Default::default() };
        for (path, modified_us) in objects {
            match modified_us {
                None => position.taken.push(path),
                Some(at) => position.dated.push((path, at)),
            }
        }
        position.taken.sort_unstable();
        position.dated.sort_unstable();
        position
    }

    /// True if the stream must not read this object: it has read it, or the object is too old.
    pub(super) fn excludes(&self, object: &ObjectMeta) -> bool {
        self.objects.contains_key(object.location.as_ref())
            || self.oldest_us().is_some_and(|oldest| object.last_modified.timestamp_micros() < oldest)
    }

    pub(super) fn insert(&mut self, path: String, modified_us: i64) {
        self.objects.insert(path, self.max_age_us.map(|_| modified_us));
        // A time ahead of the clock would exclude all objects that are written until then.
        let at = modified_us.min(Utc::now().timestamp_micros());
        self.latest_us = self.latest_us.max(Some(at));
    }

    /// Removes the paths of objects that are too old to be read again.
    pub(super) fn forget(&mut self) {
        if let Some(oldest) = self.oldest_us() {
            self.objects.retain(|_, modified_us| modified_us.is_none_or(|at| at >= oldest));
        }
    }

    /// The time before which an object is too old.
    fn oldest_us(&self) -> Option<i64> {
        Some(self.latest_us?.saturating_sub(self.max_age_us?))
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use object_store::path::Path;

    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn object(path: &str, seconds: i64) -> ObjectMeta {
        ObjectMeta {
            location: Path::from(path),
            last_modified: DateTime::from_timestamp(seconds, 0).unwrap(),
            size: 1,
            e_tag: None,
            version: None,
        }
    }

    fn with(max_age: Option<Duration>, objects: &[(&str, i64)]) -> Taken {
        let mut taken = Taken::of(TakenObjects::default(), max_age);
        objects.iter().for_each(|(path, seconds)| taken.insert((*path).to_owned(), seconds * 1_000_000));
        taken
    }

    #[test]
    fn without_an_age_every_path_is_kept() {
        let taken = with(None, &[("b", 1), ("a", 1_000_000)]);
        assert!(taken.excludes(&object("b", 9)) && !taken.excludes(&object("c", 0)));
        let position = serde_json::to_value(taken.into_position()).unwrap();
        assert_eq!(position, serde_json::json!({"taken": ["a", "b"]}));
    }

    #[test]
    fn with_an_age_old_objects_are_ignored_and_forgotten() {
        let mut taken = with(Some(HOUR), &[("a", 0), ("b", 3_600), ("c", 3_601)]);
        assert!(taken.excludes(&object("a", 0)) && taken.excludes(&object("new and old", 0)));
        assert!(taken.excludes(&object("b", 3_600)) && !taken.excludes(&object("new", 1)));
        taken.forget();
        let position = taken.into_position();
        assert_eq!(position.dated, [("b".to_owned(), 3_600_000_000), ("c".to_owned(), 3_601_000_000)]);
        // Read again, also without the age: then no more paths are forgotten.
        let text = serde_json::to_string(&position).unwrap();
        let again = Taken::of(serde_json::from_str(&text).unwrap(), Some(HOUR));
        assert_eq!(again.into_position(), position);
        let forever = Taken::of(serde_json::from_str(&text).unwrap(), None).into_position();
        assert_eq!(forever, TakenObjects { taken: vec!["b".to_owned(), "c".to_owned()], ..TakenObjects::default() });
        // Paths of a position without times stay.
        let old: TakenObjects = serde_json::from_str(r#"{"taken": ["z"]}"#).unwrap();
        let mut taken = Taken::of(old, Some(HOUR));
        taken.insert("a".to_owned(), 9_000_000_000);
        taken.forget();
        assert!(taken.excludes(&object("z", 9_000)));
    }

    #[test]
    fn a_time_ahead_of_the_clock_excludes_nothing() {
        let now = Utc::now().timestamp();
        let taken = with(Some(HOUR), &[("ahead", now + 1_000_000)]);
        assert!(!taken.excludes(&object("new", now)) && taken.excludes(&object("ahead", now + 1_000_000)));
    }
}
