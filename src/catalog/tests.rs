use arrow::util::pretty::pretty_format_batches;
use datafusion::execution::SessionStateBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use object_store::memory::InMemory;
use tempfile::TempDir;

use super::*;
use crate::sink::delta::tests::faulty_store::{Fault, FaultyStore};
use crate::sink::delta::{TableDefinition, Write, WriteKind, WriteRequest};

struct Fixture {
    _folder: TempDir,
    warehouse: Warehouse,
    session: SessionContext,
}

impl Fixture {
    /// A warehouse in a folder that is not there yet.
    fn local() -> Self {
        let folder = TempDir::new().unwrap();
        let root = Url::from_directory_path(folder.path().join("not/yet")).unwrap();
        Self::at(folder, &root, None)
    }

    fn s3() -> Self {
        let root = Url::parse("s3://bucket/warehouse").unwrap();
        Self::at(TempDir::new().unwrap(), &root, Some(Arc::new(InMemory::new())))
    }

    fn at(folder: TempDir, root: &Url, store: Option<Arc<dyn ObjectStore>>) -> Self {
        let config = SessionConfig::new()
            .with_target_partitions(2)
            .with_default_catalog_and_schema(CATALOG_NAME, DEFAULT_SCHEMA)
            .with_create_default_catalog_and_schema(false);
        let state = SessionStateBuilder::new().with_config(config).with_default_features().build();
        if let Some(store) = store {
            state.runtime_env().register_object_store(root, store);
        }
        let session = SessionContext::new_with_state(state);
        let warehouse = Warehouse::open(root, &session.runtime_env()).unwrap();
        session.register_catalog(CATALOG_NAME, Arc::new(WarehouseCatalog::new(warehouse.clone())));
        Self { _folder: folder, warehouse, session }
    }

    async fn create(&self, name: &TableName, sql: &str, partition_columns: &[&str]) {
        let query = self.session.sql(sql).await.unwrap();
        let mut definition = TableDefinition::of_query(query.schema().as_arrow());
        definition.partition_columns = partition_columns.iter().map(|name| (*name).to_owned()).collect();
        let request = WriteRequest::new(self.warehouse.location(name).unwrap(), WriteKind::Create(definition));
        let plan = query.create_physical_plan().await.unwrap();
        let write = Write::plan(request, plan, &self.session.state()).await.unwrap();
        write.run(self.session.task_ctx()).await.unwrap().commit(None).await.unwrap();
    }

    async fn query(&self, sql: &str) -> String {
        let batches = self.session.sql(sql).await.unwrap().collect().await.unwrap();
        pretty_format_batches(&batches).unwrap().to_string()
    }
}

fn name(schema: &str, table: &str) -> TableName {
    TableName::new(schema, table).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn schemas_and_tables_come_and_go() {
    for fixture in [Fixture::local(), Fixture::s3()] {
        let warehouse = &fixture.warehouse;
        assert_eq!(warehouse.schemas().await.unwrap(), ["default"]);
        assert_eq!(warehouse.tables("default").await.unwrap(), Vec::<String>::new());
        assert!(warehouse.create_schema("Silver").await.unwrap());
        assert!(!warehouse.create_schema("silver").await.unwrap());
        assert_eq!(warehouse.schemas().await.unwrap(), ["default", "silver"]);

        fixture.create(&name("default", "Pins"), "SELECT 1 AS n", &[]).await;
        fixture.create(&name("silver", "geo"), "SELECT 2 AS n", &[]).await;
        assert_eq!(warehouse.tables("DEFAULT").await.unwrap(), ["pins"]);
        assert_eq!(warehouse.tables("silver").await.unwrap(), ["geo"]);
        let joined = fixture.query("SELECT p.n + g.n AS sum FROM pins p, pinsql.Silver.GEO g").await;
        assert!(joined.contains("| 3   |"), "{joined}");

        let missing = warehouse.open_table(&name("default", "pin")).await.unwrap_err();
        assert_eq!(
            (missing.message.as_str(), missing.hint.as_deref()),
            ("there is no table default.pin", Some("did you mean default.pins?"))
        );
        let missing = warehouse.require_schema("silvr").await.unwrap_err();
        assert_eq!(missing.hint.as_deref(), Some("did you mean silver?"));

        let full = warehouse.drop_schema("silver").await.unwrap_err();
        assert_eq!(full.message, "the schema silver is not empty: it has 1 tables, such as geo");
        warehouse.drop_table(&name("silver", "geo")).await.unwrap();
        assert!(!warehouse.table_exists(&name("silver", "geo")).await.unwrap());
        warehouse.drop_schema("silver").await.unwrap();
        assert_eq!(warehouse.schemas().await.unwrap(), ["default"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_reads_the_newest_version_and_says_which() {
    let fixture = Fixture::local();
    let pins = name("default", "pins");
    fixture.create(&pins, "SELECT 1 AS n", &[]).await;
    let location = fixture.warehouse.location(&pins).unwrap();
    let before = fixture.session.sql("SELECT max(n) + (SELECT count(*) FROM pins) AS n FROM pins").await.unwrap();
    assert_eq!(version_read(before.logical_plan(), &location).unwrap(), Some(0));

    let append = fixture.session.sql("SELECT 2 AS n").await.unwrap();
    assert_eq!(version_read(append.logical_plan(), &location).unwrap(), None);
    let request = WriteRequest::new(location.clone(), WriteKind::Append);
    let plan = append.create_physical_plan().await.unwrap();
    let write = Write::plan(request, plan, &fixture.session.state()).await.unwrap();
    write.run(fixture.session.task_ctx()).await.unwrap().commit(None).await.unwrap();

    let after = fixture.session.sql("SELECT 1 WHERE EXISTS (SELECT * FROM pins)").await.unwrap();
    assert_eq!(version_read(after.logical_plan(), &location).unwrap(), Some(1));
    assert!(fixture.query("SELECT count(*) AS n FROM pins").await.contains("| 2 |"));
    let insert = fixture.session.sql("INSERT INTO pins SELECT 3").await.unwrap().collect().await;
    assert!(insert.is_err(), "the only way to write is the sink");
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_are_read_with_the_types_they_have() {
    let fixture = Fixture::local();
    let sql = "SELECT 'text' AS s, 1 AS i, DATE '2020-01-01' AS d, 'FR' AS p, CAST(7 AS BIGINT) AS year, \
               to_timestamp('1890-01-01T00:00:00Z') AS at, make_array('x') AS list";
    fixture.create(&name("default", "t"), sql, &["p", "year"]).await;
    let rows =
        fixture.query("SELECT arrow_typeof(p), arrow_typeof(year), arrow_typeof(s), arrow_typeof(at) FROM t").await;
    assert!(rows.contains("| Int64                | Utf8View          | Timestamp(µs, \"UTC\") |"), "{rows}");
    assert!(!rows.contains("Dictionary"), "{rows}");
    let rows = fixture
        .query("SELECT p || s AS ps, year + i AS n, at, list[1] AS first FROM t WHERE p = 'FR' AND year = 7")
        .await;
    assert!(rows.contains("| FRtext | 8 | 1890-01-01T00:00:00Z | x     |"), "{rows}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_is_asked_whether_it_can_create() {
    let fixture = Fixture::s3();
    fixture.warehouse.require_conditional_put().await.unwrap();
    assert!(fixture.warehouse.store.list(None).next().await.is_none(), "the probe is gone");
    Fixture::local().warehouse.require_conditional_put().await.unwrap();

    let store = Arc::new(FaultyStore::over(InMemory::new()));
    store.inject("probe", Fault::Overwrites, usize::MAX);
    let root = Url::parse("s3://bucket/warehouse").unwrap();
    let fixture = Fixture::at(TempDir::new().unwrap(), &root, Some(store));
    let refused = fixture.warehouse.require_conditional_put().await.unwrap_err();
    assert_eq!(refused.message, "the store of s3://bucket/warehouse/ ignores If-None-Match");
}
