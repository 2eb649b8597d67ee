//! Identity columns: a writer gives each row a new number.

use super::{Feature, Versions};

pub(super) const FEATURE: Feature =
    Feature { versions: Some(Versions { reader: 1, writer: 6 }), ..Feature::writer("identityColumns") };
