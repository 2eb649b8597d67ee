//! Unity Catalog, of Databricks or open source, through its REST API
//! (<https://docs.databricks.com/api/workspace/tables>, <https://github.com/unitycatalog/unitycatalog/tree/main/api>).
//!
//! Tables are registered as external tables. The API cannot change the columns of a table, and a new entry would lose the grants.
//! So an entry keeps its first columns. Databricks reads the columns from the log.

use std::collections::BTreeMap;

use arrow::datatypes::DataType;
use async_trait::async_trait;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use url::Url;

use super::api::{Answer, Api, is_temporary_status};
use super::types::simple_string;
use super::{CatalogService, Entry, Listed, Registration, TableName};
use crate::config::CatalogConfig;
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_delta::Column;

const ROOT: &str = "api/2.1/unity-catalog";

const PROPERTY_BYTES_MAX: usize = 255;

/// The maximum number of pages of a list, against a list without an end.
const PAGES_MAX: usize = 10_000;

#[derive(Debug)]
pub(super) struct UnityCatalog {
    api: Api,
    endpoint: Url,
    catalog: String,
    authorization: Option<HeaderValue>,
}

impl UnityCatalog {
    pub(super) fn new(settings: &CatalogConfig) -> Result<Self> {
        let endpoint = settings.endpoint.as_deref().ok_or_else(|| {
            Error::new(ErrorCode::InvalidConfiguration, "the catalog of type unity has no endpoint").with_hint(
                "[catalog] endpoint = \"https://<workspace>.cloud.databricks.com\" in pinsql.toml, or DATABRICKS_HOST",
            )
        })?;
        let catalog = settings.name.clone().ok_or_else(|| {
            Error::new(ErrorCode::InvalidConfiguration, "the catalog of type unity has no name")
                .with_hint("[catalog] name = \"main\" in pinsql.toml")
        })?;
        let endpoint = endpoint_url(endpoint)?;
        let authorization = settings.token.as_ref().map(|token| {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.reveal().trim())).map_err(|_| {
                Error::new(ErrorCode::InvalidCredentials, "the catalog's token has characters that no header can carry")
            })?;
            value.set_sensitive(true);
            Ok::<_, Error>(value)
        });
        let api = Api::new(format!("the Unity Catalog at {endpoint}"))?;
        Ok(Self { api, endpoint, catalog, authorization: authorization.transpose()? })
    }

    /// Sends a request with retries. Status 404 and "already exists" are returned, and every other failure is an error.
    async fn request(
        &self,
        doing: &str,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Answer> {
        let mut url = self.endpoint.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(ROOT.split('/')).extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let make = |client: &Client| {
            let mut request = client.request(method.clone(), url.clone());
            if let Some(authorization) = &self.authorization {
                request = request.header(AUTHORIZATION, authorization);
            }
            if let Some(body) = body {
                request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
            }
            request.build().map_err(|error| Error::internal(format!("cannot {doing}")).caused_by(error.without_url()))
        };
        let answer = self.api.send(doing, &make, |answer| is_temporary_status(answer.status)).await?;
        match answer.status {
            StatusCode::NOT_FOUND => Ok(answer),
            status if status.is_success() => Ok(answer),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(self.api.refused(doing, &answer).with_hint(match self.authorization {
                    Some(_) => {
                        "the token in PINSQL_CATALOG_TOKEN (or DATABRICKS_TOKEN) has to be valid and allowed to do this"
                    }
                    None => "set PINSQL_CATALOG_TOKEN, or DATABRICKS_TOKEN",
                }))
            }
            _ if is_already_there(&answer) => Ok(answer),
            _ => Err(self.api.refused(doing, &answer)),
        }
    }

    /// The entries of a list, from all pages. `None` on status 404.
    async fn list(&self, doing: &str, of: &str, query: &[(&str, &str)]) -> Result<Option<Vec<Value>>> {
        let mut entries = Vec::new();
        let mut token: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let page = token.iter().map(|token| ("page_token", token.as_str()));
            let query: Vec<_> = query.iter().copied().chain(page).collect();
            let mut answer = self.request(doing, Method::GET, &[of], &query, None).await?;
            if answer.status == StatusCode::NOT_FOUND {
                return Ok(None);
            }
            if let Some(Value::Array(found)) = answer.body.get_mut(of) {
                entries.append(found);
            }
            token = answer.text("next_page_token").filter(|token| !token.is_empty()).map(str::to_owned);
            if token.is_none() {
                return Ok(Some(entries));
            }
        }
        Err(self.api.unexpected(doing))
    }

    fn full_name(&self, name: &TableName) -> String {
        format!("{}.{}.{}", self.catalog, name.schema(), name.table())
    }

    fn no_catalog(&self) -> Error {
        Error::new(ErrorCode::ResourceNotFound, format!("{} has no catalog {}", self.api.who(), self.catalog))
            .with_hint("[catalog] name in pinsql.toml says which one")
    }
}

#[async_trait]
impl CatalogService for UnityCatalog {
    fn name(&self) -> &str {
        &self.catalog
    }

    async fn schemas(&self) -> Result<Vec<String>> {
        let query = [("catalog_name", self.catalog.as_str())];
        let schemas = self.list("list the schemas", "schemas", &query).await?.ok_or_else(|| self.no_catalog())?;
        Ok(schemas.iter().filter_map(name_of).collect())
    }

    async fn create_schema(&self, schema: &str) -> Result<()> {
        let body = json!({"name": schema, "catalog_name": self.catalog});
        let doing = format!("make the schema {schema}");
        let answer = self.request(&doing, Method::POST, &["schemas"], &[], Some(&body)).await?;
        if answer.status == StatusCode::NOT_FOUND { Err(self.no_catalog()) } else { Ok(()) }
    }

    async fn drop_schema(&self, schema: &str) -> Result<()> {
        let full_name = format!("{}.{schema}", self.catalog);
        let doing = format!("drop the schema {schema}");
        self.request(&doing, Method::DELETE, &["schemas", &full_name], &[], None).await.map(drop)
    }

    async fn entries(&self, schema: &str) -> Result<Vec<Listed>> {
        let query = [("catalog_name", self.catalog.as_str()), ("schema_name", schema)];
        let listed = self.list(&format!("list the tables of {schema}"), "tables", &query).await?.unwrap_or_default();
        Ok(listed
            .iter()
            .filter_map(|table| Some(Listed { name: name_of(table)?, format: format_of(table)? }))
            .collect())
    }

    async fn table(&self, name: &TableName) -> Result<Option<Entry>> {
        let doing = format!("look for {name}");
        let answer = self.request(&doing, Method::GET, &["tables", &self.full_name(name)], &[], None).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        Ok(Some(Entry {
            location: answer.text("storage_location").filter(|location| !location.is_empty()).map(str::to_owned),
            format: format_of(&answer.body).ok_or_else(|| self.api.unexpected(&doing))?,
            is_managed: answer.text("table_type") == Some("MANAGED"),
        }))
    }

    async fn register(&self, registration: &Registration<'_>) -> Result<()> {
        let name = registration.name;
        let doing = format!("register {name}");
        let body = table(&self.catalog, registration)?;
        let answer = self.request(&doing, Method::POST, &["tables"], &[], Some(&body)).await?;
        match answer.status {
            StatusCode::NOT_FOUND => Err(self.api.refused(&doing, &answer).with_hint(format!(
                "CREATE SCHEMA {} makes the schema in the catalog {}",
                name.schema(),
                self.catalog
            ))),
            _ => Ok(()),
        }
    }

    async fn unregister(&self, name: &TableName) -> Result<()> {
        let doing = format!("remove the entry of {name}");
        self.request(&doing, Method::DELETE, &["tables", &self.full_name(name)], &[], None).await.map(drop)
    }
}

/// Parses an endpoint. `https://` is the default, since the variables of Databricks leave it out.
fn endpoint_url(text: &str) -> Result<Url> {
    let wrong = || {
        Error::new(ErrorCode::InvalidConfiguration, format!("`{text}` is no endpoint of a catalog"))
            .with_hint("https://host, or http://host:port")
    };
    let text = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let url = Url::parse(&text).map_err(|_| wrong())?;
    match url.scheme() {
        "http" | "https" if url.host().is_some() => Ok(url),
        _ => Err(wrong()),
    }
}

fn name_of(entry: &Value) -> Option<String> {
    entry.get("name")?.as_str().map(str::to_lowercase)
}

/// The format of a table, or the type of a view.
fn format_of(table: &Value) -> Option<String> {
    let text = |key: &str| table.get(key)?.as_str();
    text("data_source_format").or_else(|| text("table_type")).map(str::to_uppercase)
}

/// Servers return different statuses, but their codes have the same end.
fn is_already_there(answer: &Answer) -> bool {
    answer.text("error_code").is_some_and(|code| code.ends_with("ALREADY_EXISTS"))
}

/// The body of a CreateTable request.
fn table(catalog: &str, registration: &Registration<'_>) -> Result<Value> {
    let Registration { name, definition, .. } = registration;
    let fields = definition.fields_json()?;
    // The open source server refuses longer values. The log has them all.
    let properties: BTreeMap<&String, &String> =
        definition.properties.iter().filter(|(_, value)| value.len() <= PROPERTY_BYTES_MAX).collect();
    let columns: Vec<Value> = definition
        .columns
        .iter()
        .zip(&fields)
        .enumerate()
        .map(|(position, (column, field))| column_info(position, column, field, &definition.partition_columns))
        .collect();
    Ok(json!({
        "name": name.table(),
        "catalog_name": catalog,
        "schema_name": name.schema(),
        "table_type": "EXTERNAL",
        "data_source_format": "DELTA",
        "columns": columns,
        "storage_location": registration.location(),
        "comment": definition.comment,
        "properties": properties,
    }))
}

fn column_info(position: usize, column: &Column, field: &Value, partition_columns: &[String]) -> Value {
    let mut info = json!({
        "name": column.name,
        "type_text": simple_string(&column.data_type),
        "type_name": type_name(&column.data_type),
        "type_json": field.to_string(),
        "position": position,
        "nullable": column.nullable,
    });
    if let DataType::Decimal128(precision, scale) = column.data_type {
        info["type_precision"] = json!(precision);
        info["type_scale"] = json!(scale);
    }
    if let Some(comment) = &column.comment {
        info["comment"] = json!(comment);
    }
    if let Some(index) = partition_columns.iter().position(|name| *name == column.name) {
        info["partition_index"] = json!(index);
    }
    info
}

/// The names of types in the API (`ColumnTypeName`).
fn type_name(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Boolean => "BOOLEAN",
        DataType::Int8 => "BYTE",
        DataType::Int16 => "SHORT",
        DataType::Int32 => "INT",
        DataType::Int64 => "LONG",
        DataType::Float32 => "FLOAT",
        DataType::Float64 => "DOUBLE",
        DataType::Decimal128(..) => "DECIMAL",
        DataType::Date32 => "DATE",
        DataType::Timestamp(_, Some(_)) => "TIMESTAMP",
        DataType::Timestamp(_, None) => "TIMESTAMP_NTZ",
        DataType::Binary => "BINARY",
        DataType::List(_) => "ARRAY",
        DataType::Map(..) => "MAP",
        DataType::Struct(_) => "STRUCT",
        _ => "STRING",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pinsql_base::schema::parse_type;
    use pinsql_delta::TableDefinition;

    #[test]
    fn an_endpoint_is_a_host() {
        assert_eq!(endpoint_url("dbc-1.cloud.databricks.com").unwrap().as_str(), "https://dbc-1.cloud.databricks.com/");
        assert_eq!(endpoint_url("http://127.0.0.1:8080").unwrap().as_str(), "http://127.0.0.1:8080/");
        for wrong in ["", "ftp://host", "https://"] {
            assert!(endpoint_url(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_column_says_its_type_in_words_and_as_the_log_has_it() {
        let definition = TableDefinition {
            columns: vec![Column {
                name: "n".to_owned(),
                data_type: parse_type("STRUCT<x: INT, `Y`: ARRAY<DECIMAL(5, 2)>>").unwrap(),
                nullable: false,
                comment: Some("it's nested".to_owned()),
            }],
            partition_columns: vec!["n".to_owned()],
            ..TableDefinition::default()
        };
        let [field] = definition.fields_json().unwrap().try_into().unwrap();
        let info = column_info(0, &definition.columns[0], &field, &definition.partition_columns);
        let type_json: Value = serde_json::from_str(info["type_json"].as_str().unwrap()).unwrap();
        let array = json!({"type": "array", "elementType": "decimal(5,2)", "containsNull": true});
        let fields = json!([
            {"name": "x", "type": "integer", "nullable": true, "metadata": {}},
            {"name": "Y", "type": array, "nullable": true, "metadata": {}},
        ]);
        let expected = json!({
            "name": "n", "type": {"type": "struct", "fields": fields}, "nullable": false, "metadata": {"comment": "it's nested"},
        });
        assert_eq!(type_json, expected);
        let said =
            json!([info["type_text"], info["type_name"], info["nullable"], info["comment"], info["partition_index"]]);
        assert_eq!(said, json!(["struct<x:int,Y:array<decimal(5,2)>>", "STRUCT", false, "it's nested", 0]));
    }
}
