//! Rules that let a table be read as an Apache Iceberg table. All versions need column mapping.

use super::Feature;

pub(super) const V1: Feature = Feature::writer("icebergCompatV1");

pub(super) const V2: Feature = Feature {
    refused_property: Some(("delta.enableIcebergCompatV2", "it needs column mapping")),
    ..Feature::writer("icebergCompatV2")
};

pub(super) const V3: Feature = Feature::writer("icebergCompatV3");
