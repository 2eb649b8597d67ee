//! `[catalog]` of `pinsql.toml`: the service where other engines look for tables.
//!
//! It has no flags: where tables are registered is a matter of the project, and not of one run. A token stands in the
//! environment alone.

use serde::Deserialize;

use super::Secret;

/// What kind of service it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CatalogKind {
    Unity,
    Glue,
}

/// The section as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogLayer {
    #[serde(rename = "type")]
    pub kind: CatalogKind,
    pub endpoint: Option<String>,
    pub name: Option<String>,
    pub account: Option<String>,
}

#[derive(Debug, Clone)]
pub struct CatalogConfig {
    pub kind: CatalogKind,
    /// A URL. Unity Catalog's may be in `DATABRICKS_HOST` instead; Glue's follows from the region.
    pub endpoint: Option<String>,
    /// The catalog as SQL names it; for Unity Catalog, the one of that name there.
    pub name: Option<String>,
    /// The AWS account whose catalog it is, where that is not the caller's.
    pub account: Option<String>,
    /// What Unity Catalog is shown: `PINSQL_CATALOG_TOKEN`, or `DATABRICKS_TOKEN`.
    pub token: Option<Secret>,
}

impl CatalogConfig {
    pub(super) fn resolve(layer: CatalogLayer, variable: impl Fn(&str) -> Option<String>) -> Self {
        let CatalogLayer { kind, endpoint, name, account } = layer;
        let of_databricks = || variable("DATABRICKS_HOST").filter(|_| kind == CatalogKind::Unity);
        let token = variable("PINSQL_CATALOG_TOKEN").or_else(|| variable("DATABRICKS_TOKEN"));
        Self {
            kind,
            endpoint: endpoint.or_else(of_databricks),
            name: name.map(|name| name.to_lowercase()),
            account,
            token: token.map(Secret::new),
        }
    }
}
