//! Columns of the type VARIANT. deltalake returns their binary encoding, so queries are refused too.

use super::{Decision, Feature, Refusal, Support};

const REFUSED: Decision = Decision::IfListed(Refusal::Missing {
    hint: Some("a writer such as Spark can make a table of it without its VARIANT columns"),
});

pub(super) const FEATURE: Feature =
    Feature { support: Support::up_to_append(REFUSED, REFUSED, REFUSED), ..Feature::reader_and_writer("variantType") };
