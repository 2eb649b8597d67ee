use arrow::util::pretty::pretty_format_batches;
use datafusion::execution::SessionStateBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use object_store::memory::InMemory;
use tempfile::TempDir;

use super::*;
use pinsql_delta::testing::{Fault, FaultyStore};
use pinsql_delta::{PreparedWrite, TableDefinition, Write, WriteKind, WriteRequest};

struct Fixture {
    _folder: TempDir,
    warehouse: Warehouse,
    session: SessionContext,
}

impl Fixture {
    /// A warehouse in a folder that does not exist yet.
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
        let config = SessionConfig::new().with_target_partitions(2);
        let state = SessionStateBuilder::new().with_config(config).with_default_features().build();
        if let Some(store) = store {
            state.runtime_env().register_object_store(root, store);
        }
        let session = SessionContext::new_with_state(state);
        let warehouse = Warehouse::open(root, &session.runtime_env()).unwrap();
        Self { _folder: folder, warehouse, session }
    }

    async fn create(&self, name: &TableName, sql: &str, partition_columns: &[&str]) {
        let query = self.session.sql(sql).await.unwrap();
        let mut definition = TableDefinition::of_query(query.schema().as_arrow());
        definition.partition_columns = partition_columns.iter().map(|name| (*name).to_owned()).collect();
        let request = WriteRequest::new(self.warehouse.location(name).await.unwrap(), WriteKind::Create(definition));
        let plan = query.create_physical_plan().await.unwrap();
        let write = Write::plan(request, plan, &self.session.state()).await.unwrap();
        write.run(self.session.task_ctx()).await.unwrap().commit(None).await.unwrap();
    }

    /// Runs `sql` with each of `tables` under its name without the schema.
    async fn query(&self, sql: &str, tables: &[&TableName]) -> String {
        for name in tables {
            let (location, table) = self.warehouse.open_table(name).await.unwrap();
            let provider = location.provider(&table).unwrap();
            self.session.deregister_table(name.table()).unwrap();
            self.session.register_table(name.table(), provider).unwrap();
        }
        let batches = self.session.sql(sql).await.unwrap().collect().await.unwrap();
        pretty_format_batches(&batches).unwrap().to_string()
    }
}

fn name(schema: &str, table: &str) -> TableName {
    TableName::new(schema, table).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn schemas_and_tables_are_created_and_dropped() {
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
        let joined = fixture
            .query("SELECT p.n + g.n AS sum FROM pins p, geo g", &[&name("default", "pins"), &name("silver", "geo")])
            .await;
        assert!(joined.contains("| 3   |"), "{joined}");

        let missing = warehouse.open_table(&name("default", "pin")).await.unwrap_err();
        assert_eq!(
            (missing.message.as_str(), missing.hint.as_deref()),
            ("there is no table default.pin", Some("did you mean default.pins?"))
        );
        let missing = warehouse.require_schema("silvr").await.unwrap_err();
        assert_eq!(missing.hint.as_deref(), Some("did you mean silver?"));

        let full = warehouse.drop_schema("silver").await.unwrap_err();
        assert_eq!(full.message, "the schema silver is not empty: it has 1 table, such as geo");
        warehouse.drop_table(&name("silver", "geo"), false).await.unwrap();
        assert!(!warehouse.table_exists(&name("silver", "geo")).await.unwrap());
        warehouse.drop_schema("silver").await.unwrap();
        assert_eq!(warehouse.schemas().await.unwrap(), ["default"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_keep_their_types() {
    let fixture = Fixture::local();
    let sql = "SELECT 'text' AS s, 1 AS i, DATE '2020-01-01' AS d, 'FR' AS p, CAST(7 AS BIGINT) AS year, \
               to_timestamp('1890-01-01T00:00:00Z') AS at, make_array('x') AS list";
    let t = name("default", "t");
    fixture.create(&t, sql, &["p", "year"]).await;
    let rows = fixture
        .query("SELECT arrow_typeof(p), arrow_typeof(year), arrow_typeof(s), arrow_typeof(at) FROM t", &[&t])
        .await;
    assert!(rows.contains("| Int64                | Utf8View          | Timestamp(µs, \"UTC\") |"), "{rows}");
    assert!(!rows.contains("Dictionary"), "{rows}");
    let rows = fixture
        .query("SELECT p || s AS ps, year + i AS n, at, list[1] AS first FROM t WHERE p = 'FR' AND year = 7", &[&t])
        .await;
    assert!(rows.contains("| FRtext | 8 | 1890-01-01T00:00:00Z | x     |"), "{rows}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_must_support_conditional_puts() {
    // The first warehouse writes the probe object. The second finds it.
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let root = Url::parse("s3://bucket/warehouse").unwrap();
    for _ in 0..2 {
        let fixture = Fixture::at(TempDir::new().unwrap(), &root, Some(store.clone()));
        fixture.warehouse.create_schema("silver").await.unwrap();
        fixture.create(&name("default", "t"), "SELECT 1 AS n", &[]).await;
        fixture.warehouse.drop_table(&name("default", "t"), true).await.unwrap();
        assert_eq!(fixture.warehouse.schemas().await.unwrap(), ["default", "silver"]);
    }

    let store = Arc::new(FaultyStore::over(InMemory::new()));
    store.inject("conditional_put", Fault::Overwrites, usize::MAX);
    let fixture = Fixture::at(TempDir::new().unwrap(), &root, Some(store.clone()));
    let refused = fixture.warehouse.create_schema("silver").await.unwrap_err();
    assert_eq!(refused.message, "the store of s3://bucket/warehouse/ overwrites an object that it was told to create");
    let location = fixture.warehouse.location(&name("default", "t")).await.unwrap();
    let definition = TableDefinition::of_query(&arrow::datatypes::Schema::new(vec![arrow::datatypes::Field::new(
        "n",
        arrow::datatypes::DataType::Int64,
        true,
    )]));
    let refused = PreparedWrite::define(WriteRequest::new(location, WriteKind::Create(definition))).await.unwrap_err();
    assert_eq!(refused.kind(), pinsql_base::error::ErrorKind::Config);
    assert!(store.list(None).next().await.is_none(), "nothing was written");
}
