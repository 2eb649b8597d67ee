//! `[catalog]` of `pinsql.toml`: the catalog service in which other engines find the tables.
//!
//! It has no flags: the place where tables are registered belongs to the project, not to one run. The token is only in the
//! environment.

use serde::Deserialize;

use super::Secret;

/// The kind of a catalog service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CatalogKind {
    /// Unity Catalog, of Databricks or open source.
    Unity,
    /// The Data Catalog of AWS Glue.
    Glue,
}

/// The section in the file. [`CatalogConfig`] describes the settings.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogLayer {
    #[serde(rename = "type")]
    pub kind: CatalogKind,
    pub endpoint: Option<String>,
    pub name: Option<String>,
    pub account: Option<String>,
}

/// The resolved settings of a catalog service.
#[derive(Debug, Clone)]
pub struct CatalogConfig {
    pub kind: CatalogKind,
    /// A URL. For Unity Catalog `DATABRICKS_HOST` is the default. For Glue the default follows from the region.
    pub endpoint: Option<String>,
    /// The name of the catalog in SQL, in lower case. For Unity Catalog it is also the name of the catalog in the service.
    pub name: Option<String>,
    /// The AWS account of the catalog. `None` is the account of the caller.
    pub account: Option<String>,
    /// The token for Unity Catalog: `PINSQL_CATALOG_TOKEN`, or `DATABRICKS_TOKEN`.
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
