//! AWS Glue's Data Catalog, through its JSON API (<https://docs.aws.amazon.com/glue/latest/webapi/API_Operations.html>).
//!
//! Both Athena and Spark read the registered entry as a Delta table. Athena reads `table_type`. Spark reads
//! `spark.sql.sources.provider` and the path in the parameters of the SerDe.
//!
//! Deliberately absent: the AWS SDK for Glue. It is much larger than the seven calls that are needed, and `AwsAuthorizer` of the
//! object stores makes the same signatures.

use arrow::datatypes::DataType;
use async_trait::async_trait;
use object_store::aws::{AwsAuthorizer, AwsCredential};
use object_store::client::{HttpRequest, HttpRequestBody};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Method, Request, StatusCode};
use serde_json::{Map, Value, json};
use url::Url;

use super::api::{Answer, Api, is_temporary_status};
use super::types::simple_string;
use super::{CatalogService, DELTA, Entry, Listed, Registration, TableName};
use crate::config::CatalogConfig;
use pinsql_base::error::{Error, ErrorCode, Result};
use pinsql_base::store::AwsAccess;
use pinsql_delta::Column;

/// The name of the catalog of an account in Athena.
const NAME: &str = "awsdatacatalog";

/// The maximum number of pages of a list, against a list without an end.
const PAGES_MAX: usize = 10_000;

const DESCRIPTION_BYTES_MAX: usize = 2_048;
const COMMENT_BYTES_MAX: usize = 255;

const NOT_FOUND: &str = "EntityNotFoundException";
const ALREADY_THERE: &str = "AlreadyExistsException";

#[derive(Debug)]
pub(super) struct GlueCatalog {
    api: Api,
    access: AwsAccess,
    endpoint: Url,
    name: String,
    /// The account of the catalog. `None` is the account of the caller.
    account: Option<String>,
}

impl GlueCatalog {
    pub(super) async fn connect(settings: &CatalogConfig, region: Option<&str>) -> Result<Self> {
        let access = AwsAccess::of_service("Glue", region).await?;
        let region = access.region();
        let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let given = access.endpoint().map(str::to_owned).or_else(|| settings.endpoint.clone());
        let endpoint = given.unwrap_or_else(|| format!("https://glue.{region}.{suffix}"));
        let endpoint = Url::parse(&endpoint).map_err(|error| {
            Error::new(ErrorCode::InvalidConfiguration, format!("`{endpoint}` is no endpoint of Glue")).caused_by(error)
        })?;
        let api = Api::new(format!("the Glue catalog at {endpoint}"))?;
        let name = settings.name.clone().unwrap_or_else(|| NAME.to_owned());
        Ok(Self { api, access, endpoint, name, account: settings.account.clone() })
    }

    /// Calls an operation. `None` if the object does not exist, or exists already.
    async fn call(&self, doing: &str, operation: &str, mut input: Map<String, Value>) -> Result<Option<Value>> {
        if let Some(account) = &self.account {
            input.insert("CatalogId".to_owned(), json!(account));
        }
        let body = Value::Object(input).to_string();
        let credential = self.access.credential().await?;
        let make = |client: &Client| self.request(client, &credential, operation, &body);
        let answer =
            self.api.send(doing, &make, |answer| is_temporary_status(answer.status) || is_throttled(answer)).await?;
        match (answer.status.is_success(), code(&answer)) {
            (true, _) => Ok(Some(answer.body)),
            (false, Some(NOT_FOUND | ALREADY_THERE)) => Ok(None),
            _ if matches!(answer.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) || is_denied(&answer) => {
                let hint =
                    format!("the role or user needs glue:{operation} on the catalog, the database and the table");
                // Glue refuses most credentials and permissions with status 400.
                let refused = Error { code: ErrorCode::PermissionDenied, ..self.api.refused(doing, &answer) };
                Err(refused.with_hint(hint))
            }
            _ => Err(self.api.refused(doing, &answer)),
        }
    }

    /// The request, signed as of now.
    fn request(&self, client: &Client, credential: &AwsCredential, operation: &str, body: &str) -> Result<Request> {
        let unfit = |error: String| Error::internal(format!("cannot make a request to Glue: {error}"));
        let mut signed = HttpRequest::new(HttpRequestBody::from(body.to_owned()));
        *signed.method_mut() = Method::POST;
        *signed.uri_mut() = self.endpoint.as_str().parse().map_err(|_| unfit(self.endpoint.to_string()))?;
        let target = HeaderValue::from_str(&format!("AWSGlue.{operation}")).map_err(|_| unfit(operation.to_owned()))?;
        signed.headers_mut().insert("x-amz-target", target);
        signed.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.1"));
        AwsAuthorizer::new(credential, "glue", self.access.region()).authorize(&mut signed, None);
        let request = client.request(Method::POST, self.endpoint.clone()).headers(signed.headers().clone());
        request.body(body.to_owned()).build().map_err(|error| unfit(error.without_url().to_string()))
    }

    /// All entries of a list, from all pages. Empty if the parent does not exist.
    async fn list(&self, doing: &str, operation: &str, of: &str, input: Map<String, Value>) -> Result<Vec<Value>> {
        let mut found = Vec::new();
        let mut token = None;
        for _ in 0..PAGES_MAX {
            let mut input = input.clone();
            input.extend(token.map(|token| ("NextToken".to_owned(), Value::String(token))));
            let Some(mut page) = self.call(doing, operation, input).await? else { return Ok(Vec::new()) };
            if let Some(Value::Array(entries)) = page.get_mut(of) {
                found.append(entries);
            }
            token = page.get("NextToken").and_then(Value::as_str).map(str::to_owned);
            if token.is_none() {
                return Ok(found);
            }
        }
        Err(self.api.unexpected(doing))
    }
}

#[async_trait]
impl CatalogService for GlueCatalog {
    fn name(&self) -> &str {
        &self.name
    }

    async fn schemas(&self) -> Result<Vec<String>> {
        let databases = self.list("list the schemas", "GetDatabases", "DatabaseList", Map::new()).await?;
        Ok(databases.iter().filter_map(name_of).collect())
    }

    async fn create_schema(&self, schema: &str) -> Result<()> {
        let input = input(json!({"DatabaseInput": {"Name": schema}}));
        self.call(&format!("make the schema {schema}"), "CreateDatabase", input).await.map(drop)
    }

    async fn drop_schema(&self, schema: &str) -> Result<()> {
        let input = input(json!({"Name": schema}));
        self.call(&format!("drop the schema {schema}"), "DeleteDatabase", input).await.map(drop)
    }

    async fn entries(&self, schema: &str) -> Result<Vec<Listed>> {
        let input = input(json!({"DatabaseName": schema}));
        let tables = self.list(&format!("list the tables of {schema}"), "GetTables", "TableList", input).await?;
        Ok(tables.iter().filter_map(|table| Some(Listed { name: name_of(table)?, format: format_of(table) })).collect())
    }

    async fn table(&self, name: &TableName) -> Result<Option<Entry>> {
        let doing = format!("look for {name}");
        let input = input(json!({"DatabaseName": name.schema(), "Name": name.table()}));
        let Some(found) = self.call(&doing, "GetTable", input).await? else { return Ok(None) };
        let table = found.get("Table").ok_or_else(|| self.api.unexpected(&doing))?;
        Ok(Some(Entry { location: location_of(table), format: format_of(table), is_managed: false }))
    }

    async fn register(&self, registration: &Registration<'_>) -> Result<()> {
        let name = registration.name;
        let doing = format!("register {name}");
        let input = input(json!({"DatabaseName": name.schema(), "TableInput": table_input(registration)}));
        let is_there = self.table(name).await?.is_some();
        let operation = if is_there { "UpdateTable" } else { "CreateTable" };
        if self.call(&doing, operation, input.clone()).await?.is_some() {
            return Ok(());
        }
        // Another process made the entry in the meantime, or there is no schema.
        let hint = format!("CREATE SCHEMA {} makes the schema in the catalog {}", name.schema(), self.name);
        match self.call(&doing, "UpdateTable", input).await? {
            Some(_) => Ok(()),
            None => Err(Error::new(
                ErrorCode::ResourceNotFound,
                format!("cannot {doing}: {} has no schema {}", self.api.who(), name.schema()),
            )
            .with_hint(hint)),
        }
    }

    async fn unregister(&self, name: &TableName) -> Result<()> {
        let input = input(json!({"DatabaseName": name.schema(), "Name": name.table()}));
        self.call(&format!("remove the entry of {name}"), "DeleteTable", input).await.map(drop)
    }
}

fn input(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(input) => input,
        _ => Map::new(),
    }
}

fn name_of(entry: &Value) -> Option<String> {
    entry.get("Name")?.as_str().map(str::to_lowercase)
}

/// The name of the exception, without its package.
fn code(answer: &Answer) -> Option<&str> {
    answer.text("__type").map(|code| code.rsplit('#').next().unwrap_or(code))
}

fn is_throttled(answer: &Answer) -> bool {
    const CODES: [&str; 4] = [
        "ThrottlingException",
        "OperationTimeoutException",
        "InternalServiceException",
        "ConcurrentModificationException",
    ];
    code(answer).is_some_and(|code| CODES.contains(&code))
}

fn is_denied(answer: &Answer) -> bool {
    const CODES: [&str; 5] = [
        "AccessDeniedException",
        "UnrecognizedClientException",
        "InvalidSignatureException",
        "ExpiredTokenException",
        "MissingAuthenticationTokenException",
    ];
    code(answer).is_some_and(|code| CODES.contains(&code))
}

/// The format of a table, from the keys that engines use. Glue has no field for it.
fn format_of(table: &Value) -> String {
    let parameter = |key: &str| table.get("Parameters")?.get(key)?.as_str();
    let keys = ["spark.sql.sources.provider", "table_type", "classification"];
    let says_delta = |key: &&str| parameter(key).is_some_and(|value| value.eq_ignore_ascii_case("delta"));
    if keys[..2].iter().any(says_delta) {
        return DELTA.to_owned();
    }
    let kind = || table.get("TableType").and_then(Value::as_str);
    keys.iter().find_map(|key| parameter(key)).or_else(kind).unwrap_or("UNKNOWN").to_uppercase()
}

/// Spark stores the location in a parameter if Hive could not read it in the usual field.
fn location_of(table: &Value) -> Option<String> {
    let storage = table.get("StorageDescriptor")?;
    let of_spark = || storage.get("SerdeInfo")?.get("Parameters")?.get("path")?.as_str();
    let plain = || storage.get("Location")?.as_str();
    of_spark().or_else(plain).filter(|location| !location.is_empty()).map(str::to_owned)
}

fn table_input(registration: &Registration<'_>) -> Value {
    let definition = registration.definition;
    let location = registration.location();
    let (partitioned, plain): (Vec<&Column>, Vec<&Column>) =
        definition.columns.iter().partition(|column| definition.partition_columns.contains(&column.name));
    let columns = |columns: Vec<&Column>| columns.into_iter().map(column_input).collect::<Vec<Value>>();
    let mut input = json!({
        "Name": registration.name.table(),
        "TableType": "EXTERNAL_TABLE",
        "Parameters": {
            "EXTERNAL": "TRUE",
            "table_type": "DELTA",
            "spark.sql.sources.provider": "delta",
            "classification": "delta",
        },
        "PartitionKeys": columns(partitioned),
        "StorageDescriptor": {
            "Columns": columns(plain),
            "Location": location,
            "InputFormat": "org.apache.hadoop.mapred.SequenceFileInputFormat",
            "OutputFormat": "org.apache.hadoop.hive.ql.io.HiveSequenceFileOutputFormat",
            "SerdeInfo": {
                "SerializationLibrary": "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe",
                "Parameters": {"serialization.format": "1", "path": location},
            },
        },
    });
    if let Some(comment) = &definition.comment {
        input["Description"] = json!(cut(comment, DESCRIPTION_BYTES_MAX));
    }
    input
}

/// Shortens a text to the limit of Glue. The log has the whole text.
fn cut(text: &str, bytes_max: usize) -> &str {
    let end = (0..=bytes_max.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

fn column_input(column: &Column) -> Value {
    let hive_type = match &column.data_type {
        // Athena has one name for both kinds of timestamps.
        DataType::Timestamp(..) => "timestamp".to_owned(),
        other => simple_string(other),
    };
    let mut input = json!({"Name": column.name, "Type": hive_type});
    if let Some(comment) = &column.comment {
        input["Comment"] = json!(cut(comment, COMMENT_BYTES_MAX));
    }
    input
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_of_a_table_is_in_its_parameters() {
        let delta = json!({"Parameters": {"table_type": "delta"}, "StorageDescriptor": {"Location": "s3://a/t"}});
        assert_eq!((format_of(&delta), location_of(&delta)), ("DELTA".to_owned(), Some("s3://a/t".to_owned())));
        let of_spark = json!({
            "Parameters": {"spark.sql.sources.provider": "delta"},
            "StorageDescriptor": {
                "Location": "s3://a/default.db/t-__PLACEHOLDER__",
                "SerdeInfo": {"Parameters": {"path": "s3://a/t"}},
            },
        });
        assert_eq!((format_of(&of_spark), location_of(&of_spark)), ("DELTA".to_owned(), Some("s3://a/t".to_owned())));
        let view = json!({"TableType": "VIRTUAL_VIEW"});
        assert_eq!((format_of(&view), location_of(&view)), ("VIRTUAL_VIEW".to_owned(), None));
    }
}
