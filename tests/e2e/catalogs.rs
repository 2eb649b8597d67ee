//! Catalog services. pinsql registers its tables and finds the tables of others by name, and a failure on the way loses
//! no row. Each test runs against every service that `[catalog]` supports.

use std::fs;

use serde_json::{Value, json};

use crate::environment::{TestEnvironment, file};
use crate::glue::GlueServer;
use crate::raw;
use crate::s3::{self, Identity};
use crate::unity::UnityServer;

/// A catalog service, seen through a client that is not part of pinsql.
trait CatalogServer {
    /// The section of `pinsql.toml`. The variables hold the keys.
    fn settings(&self) -> String;
    fn variables(&self) -> Vec<(&'static str, String)>;
    /// The catalog's name in SQL.
    fn catalog(&self) -> String;
    /// The name of a schema that no other test uses.
    fn schema(&self) -> String;
    fn table_names(&self, schema: &str) -> Vec<String>;
    fn location(&self, schema: &str, table: &str) -> Option<String>;
    /// The names and types of the columns, partition columns last.
    fn columns(&self, schema: &str, table: &str) -> Vec<(String, String)>;
    /// Adds the entry of a table in this format, as if another engine made it at this location.
    fn register(&self, schema: &str, table: &str, format: &str, location: &str);
}

struct Glue(&'static GlueServer);

impl CatalogServer for Glue {
    fn settings(&self) -> String {
        "[catalog]\ntype = \"glue\"\n".to_owned()
    }

    fn variables(&self) -> Vec<(&'static str, String)> {
        self.0.variables(Identity::Owner)
    }

    fn catalog(&self) -> String {
        "awsdatacatalog".to_owned()
    }

    fn schema(&self) -> String {
        self.0.name("lake")
    }

    fn table_names(&self, schema: &str) -> Vec<String> {
        self.0.table_names(schema)
    }

    fn location(&self, schema: &str, table: &str) -> Option<String> {
        let found = self.0.table(schema, table)?;
        // Athena uses one of the two, Spark uses the other.
        let storage = &found["StorageDescriptor"];
        assert_eq!(storage["Location"], storage["SerdeInfo"]["Parameters"]["path"]);
        assert_eq!(found["Parameters"]["spark.sql.sources.provider"], "delta");
        Some(storage["Location"].as_str().unwrap().to_owned())
    }

    fn columns(&self, schema: &str, table: &str) -> Vec<(String, String)> {
        let found = self.0.table(schema, table).unwrap();
        let keys = found["PartitionKeys"].as_array().into_iter().flatten();
        let columns = found["StorageDescriptor"]["Columns"].as_array().unwrap().iter();
        columns.chain(keys).map(|column| (text(&column["Name"]), text(&column["Type"]))).collect()
    }

    fn register(&self, schema: &str, table: &str, format: &str, location: &str) {
        let input = json!({
            "Name": table,
            "Parameters": {"table_type": format},
            "StorageDescriptor": {"Columns": [], "Location": location},
        });
        self.0.create_table(schema, &input);
    }
}

struct Unity {
    server: &'static UnityServer,
    catalog: String,
}

impl Unity {
    fn new() -> Self {
        let server = UnityServer::shared();
        Self { server, catalog: server.catalog("main") }
    }

    fn full_name(&self, schema: &str, table: &str) -> String {
        format!("{}.{schema}.{table}", self.catalog)
    }
}

impl CatalogServer for Unity {
    fn settings(&self) -> String {
        let (endpoint, name) = (self.server.endpoint(), &self.catalog);
        format!("[catalog]\ntype = \"unity\"\nendpoint = \"{endpoint}\"\nname = \"{name}\"\n")
    }

    fn variables(&self) -> Vec<(&'static str, String)> {
        self.server.variables().to_vec()
    }

    fn catalog(&self) -> String {
        self.catalog.clone()
    }

    fn schema(&self) -> String {
        // Only this test uses the catalog.
        "lake".to_owned()
    }

    fn table_names(&self, schema: &str) -> Vec<String> {
        self.server.table_names(&self.catalog, schema)
    }

    fn location(&self, schema: &str, table: &str) -> Option<String> {
        let found = self.server.table(&self.full_name(schema, table))?;
        assert_eq!((&found["table_type"], &found["data_source_format"]), (&json!("EXTERNAL"), &json!("DELTA")));
        Some(text(&found["storage_location"]))
    }

    fn columns(&self, schema: &str, table: &str) -> Vec<(String, String)> {
        let found = self.server.table(&self.full_name(schema, table)).unwrap();
        let columns = found["columns"].as_array().unwrap().iter();
        columns.map(|column| (text(&column["name"]), text(&column["type_text"]))).collect()
    }

    fn register(&self, schema: &str, table: &str, format: &str, location: &str) {
        self.server.register(&self.full_name(schema, table), format, location);
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// Runs a test against each service.
fn each(test: impl Fn(&dyn CatalogServer, TestEnvironment)) {
    let unity = Unity::new();
    let servers: [&dyn CatalogServer; 2] = [&Glue(GlueServer::shared()), &unity];
    for server in servers {
        let environment = TestEnvironment::new().with_variables(server.variables());
        environment.write("pinsql.toml", server.settings());
        test(server, environment);
    }
}

#[test]
fn new_tables_are_registered_and_found_by_others() {
    each(|server, environment| {
        let schema = server.schema();
        environment.run_sql(&format!("CREATE SCHEMA {schema}")).output().success();
        let [pin, streamed] = ["sql/clean_pin.sql", "sql/stream_files_pin.sql"].map(file);
        let run = environment.pinsql(&["run", &pin, &streamed, "--schema", &schema]);
        run.parameter("raw", raw::examples().to_str().unwrap()).output().success();
        let change = format!(
            "USE {schema};
             CREATE TABLE parts (id BIGINT NOT NULL, name STRING COMMENT 'in full', n DECIMAL(10, 2), day DATE) PARTITIONED BY (day);
             INSERT INTO parts VALUES (1, 'one', 1.5, DATE '2026-01-02')"
        );
        environment.run_sql(&change).output().success();
        let made = ["parts", "pin_data", "pin_data_rejects", "streamed_pin_data", "streamed_pin_data_rejects"];
        assert_eq!(server.table_names(&schema), made);
        assert_eq!(
            server.columns(&schema, "parts"),
            [("id", "bigint"), ("name", "string"), ("n", "decimal(10,2)"), ("day", "date")]
                .map(|(name, r#type)| (name.to_owned(), r#type.to_owned()))
        );
        let place = environment.path(&format!("warehouse/{schema}/parts"));
        assert_eq!(server.location(&schema, "parts"), Some(format!("file://{}", place.display())));

        // Another warehouse sees the same tables.
        let other = TestEnvironment::new().with_variables(server.variables());
        other.write("pinsql.toml", server.settings());
        let count = format!("SELECT count(*) FROM {}.{schema}.pin_data", server.catalog());
        assert_eq!(other.value(&count), 100);
        assert_eq!(other.value("SELECT current_catalog()"), server.catalog().as_str());
        assert_eq!(other.query(&format!("SHOW TABLES IN {schema}")).len(), made.len());
        other.run_sql(&format!("UPDATE {schema}.parts SET id = 2; DROP TABLE {schema}.pin_data")).output().success();
        assert_eq!(environment.value(&format!("SELECT id FROM {schema}.parts")), 2);
        // The files are not in this warehouse: DROP keeps them and removes only the entry.
        assert!(!server.table_names(&schema).contains(&"pin_data".to_owned()));
        assert!(environment.path(&format!("warehouse/{schema}/pin_data/_delta_log")).exists());
        environment.run_sql(&format!("DROP TABLE {schema}.parts")).output().success();
        assert!(!place.exists() && server.location(&schema, "parts").is_none());
    });
}

#[test]
fn tables_of_other_engines_are_read_and_written_in_place() {
    each(|server, environment| {
        let schema = server.schema();
        environment.run_sql(&format!("CREATE SCHEMA {schema}")).output().success();
        let theirs = TestEnvironment::new();
        theirs.run_sql("CREATE TABLE t AS SELECT 1 AS id").output().success();
        let place = theirs.table("t").to_str().unwrap().to_owned();
        server.register(&schema, "foreign", "DELTA", &format!("file://{place}"));
        server.register(&schema, "frozen", "PARQUET", &format!("file://{place}"));
        assert_eq!(environment.query(&format!("SHOW TABLES IN {schema}")).len(), 1, "Delta tables alone");
        environment.run_sql(&format!("INSERT INTO {schema}.foreign VALUES (2)")).output().success();
        assert_eq!(theirs.value("SELECT sum(id) FROM t"), 3);
        let frozen = environment.run_sql(&format!("SELECT * FROM {schema}.frozen")).output();
        frozen.failure(1, &[&["is no Delta table in the catalog"], &["parquet"]]);

        // The same table under a second name, by LOCATION.
        let named = format!("USE {schema}; CREATE TABLE named USING DELTA LOCATION '{place}'");
        environment.run_sql(&named).output().success();
        assert_eq!(server.location(&schema, "named"), Some(format!("file://{place}")));
        assert_eq!(environment.value(&format!("SELECT count(*) FROM {schema}.named")), 2);
        let wrong = format!("CREATE TABLE {schema}.wrong (other STRING) LOCATION '{place}'");
        environment.run_sql(&wrong).output().failure(1, &[&["has other columns or partitions"], &["id int"]]);
        assert!(server.location(&schema, "wrong").is_none());

        environment.run_sql(&format!("DROP TABLE {schema}.foreign; DROP TABLE {schema}.named")).output().success();
        assert_eq!(theirs.value("SELECT sum(id) FROM t"), 3);
        // The remaining table belongs to another engine and would be dropped with its schema.
        let kept = environment.run_sql(&format!("DROP SCHEMA {schema}")).output();
        kept.failure(1, &[&["is not empty"], &["has frozen there, PARQUET"]]);
        assert_eq!(server.table_names(&schema), ["frozen"]);
    });
}

#[test]
fn managed_tables_are_read_but_not_written() {
    let unity = Unity::new();
    let environment = TestEnvironment::new().with_variables(unity.variables());
    environment.write("pinsql.toml", unity.settings());
    let theirs = TestEnvironment::new();
    theirs.run_sql("CREATE TABLE t AS SELECT 1 AS id").output().success();
    unity.server.create_schema(&unity.catalog, "lake");
    let name = unity.full_name("lake", "owned");
    unity.server.register_as("MANAGED", &name, "DELTA", &format!("file://{}", theirs.table("t").display()));
    assert_eq!(environment.value("SELECT id FROM lake.owned"), 1);
    for write in
        ["INSERT INTO lake.owned VALUES (2)", "DELETE FROM lake.owned", "OPTIMIZE lake.owned", "DROP TABLE lake.owned"]
    {
        let refused = environment.run_sql(write).output();
        refused.failure(1, &[&["is a managed table of the catalog", "which only its own engines write"]]);
    }
    assert_eq!(unity.server.table(&name).unwrap()["table_type"], "MANAGED");
    assert_eq!(theirs.value("SELECT sum(id) FROM t"), 1);
}

#[test]
fn a_table_without_an_entry_gets_one_with_its_next_commit() {
    each(|server, environment| {
        let schema = server.schema();
        // The table is made before there is a catalog service.
        let before = TestEnvironment::new().with_warehouse(environment.warehouse());
        let make = format!("CREATE SCHEMA {schema}; CREATE TABLE {schema}.old AS SELECT 1 AS id");
        before.run_sql(&make).output().success();
        environment.run_sql(&format!("CREATE SCHEMA {schema}")).output().success();
        assert_eq!(environment.value(&format!("SELECT id FROM {schema}.old")), 1);
        assert!(server.table_names(&schema).is_empty());
        environment.run_sql(&format!("INSERT INTO {schema}.old VALUES (2)")).output().success();
        assert_eq!(server.table_names(&schema), ["old"]);
    });
}

#[test]
fn tables_in_s3_are_registered_with_their_location() {
    let bucket = s3::server();
    each(|server, environment| {
        let (schema, warehouse) = (server.schema(), bucket.url(&bucket.prefix("catalog")));
        let environment = environment.with_variables(bucket.variables(Identity::Owner));
        let environment = environment.with_variables(server.variables()).with_warehouse(&warehouse);
        let make = format!("CREATE SCHEMA {schema}; CREATE TABLE {schema}.t AS SELECT 1 AS id");
        environment.run_sql(&make).output().success();
        assert_eq!(server.location(&schema, "t"), Some(format!("{warehouse}/{schema}/t")));
        let elsewhere = environment.with_warehouse("elsewhere");
        assert_eq!(elsewhere.value(&format!("SELECT id FROM {schema}.t")), 1);
    });
}

#[test]
fn a_commit_that_cannot_be_registered_is_kept_and_reported() {
    let glue = GlueServer::shared();
    let schema = glue.database("refused");
    let environment = |identity| {
        let environment = TestEnvironment::new().with_variables(glue.variables(identity));
        environment.write("pinsql.toml", Glue(glue).settings());
        environment
    };
    let reader = environment(Identity::Reader);
    let create = reader.run_sql(&format!("CREATE TABLE {schema}.t AS SELECT 1 AS id")).output();
    let create = create.failure(1, &[&["is committed, but the catalog does not know of it"], &["glue:createtable"]]);
    assert!(!create.stderr.contains(Identity::Reader.secret()), "{}", create.describe());
    let insert = reader.run_sql(&format!("INSERT INTO {schema}.t VALUES (2)")).output().success();
    assert!(insert.stderr.contains("is committed, but the catalog does not know of it"), "{}", insert.describe());
    assert_eq!(reader.value(&format!("SELECT count(*) FROM {schema}.t")), 2);
    assert!(glue.table(&schema, "t").is_none());

    let owner = environment(Identity::Owner).with_warehouse(reader.warehouse());
    owner.run_sql(&format!("INSERT INTO {schema}.t VALUES (3)")).output().success();
    assert!(glue.table(&schema, "t").is_some());
    let impostor = environment(Identity::Impostor).run_sql("SHOW SCHEMAS").output();
    let impostor = impostor.failure(1, &[&["refuses it"], &["403 forbidden"]]);
    assert!(!impostor.stderr.contains(Identity::Impostor.secret()), "{}", impostor.describe());
}

#[test]
fn an_invalid_token_is_an_error_that_does_not_show_it() {
    let unity = Unity::new();
    let environment = TestEnvironment::new();
    environment.write("pinsql.toml", unity.settings());
    let none = environment.run_sql("SHOW SCHEMAS").output();
    none.failure(1, &[&["refuses it"], &["unauthenticated"], &["set pinsql_catalog_token"]]);
    let environment = environment.with_variables([("DATABRICKS_TOKEN", "not-the-token-of-the-tests".to_owned())]);
    let wrong = environment.run_sql("SHOW SCHEMAS").output();
    let wrong = wrong.failure(1, &[&["refuses it"], &["invalid access token"], &["has to be valid"]]);
    assert!(!wrong.stderr.contains("not-the-token"), "{}", wrong.describe());
    environment.with_variables(unity.variables()).run_sql("SHOW SCHEMAS").output().success();
}

#[test]
fn every_type_is_registered_and_another_engine_reads_the_table_by_its_name() {
    let unity = Unity::new();
    let environment = TestEnvironment::new().with_variables(unity.variables());
    environment.write("pinsql.toml", unity.settings());
    environment
        .run_sql(
            "CREATE SCHEMA lake;
             CREATE TABLE lake.every (a BOOLEAN, b TINYINT, c SMALLINT, d INT, e BIGINT, f FLOAT, g DOUBLE, h DECIMAL(38, 18),
               i STRING COMMENT 'it''s text', j BINARY, k DATE NOT NULL, l TIMESTAMP, m ARRAY<MAP<STRING, DECIMAL(5, 2)>>,
               n STRUCT<x: INT NOT NULL, `Y`: ARRAY<STRING>>, p STRING) PARTITIONED BY (p) COMMENT 'every type'
             TBLPROPERTIES ('delta.appendOnly' = 'false', 'team.owner' = 'data');
             CREATE TABLE lake.some AS SELECT value AS id, 'name ' || CAST(value AS STRING) AS name FROM generate_series(1, 5)",
        )
        .output()
        .success();
    let found = unity.server.table(&unity.full_name("lake", "every")).unwrap();
    let columns = found["columns"].as_array().unwrap();
    let names: Vec<&str> = columns.iter().map(|column| column["name"].as_str().unwrap()).collect();
    assert_eq!(names.join(""), "abcdefghijklmnp");
    assert_eq!((&found["comment"], &found["properties"]["team.owner"]), (&json!("every type"), &json!("data")));
    let rows = unity.server.query(&format!("SELECT sum(id), max(name) FROM {}", unity.full_name("lake", "some")));
    assert_eq!(json!(rows), json!([[15, "name 5"]]));
}

#[test]
fn all_pages_of_a_list_are_read() {
    let unity = Unity::new();
    let environment = TestEnvironment::new().with_variables(unity.variables());
    environment.write("pinsql.toml", unity.settings());
    unity.server.create_schema(&unity.catalog, "lake");
    let names: Vec<String> = (0..250).map(|number| format!("t{number:03}")).collect();
    unity.server.create_tables(&unity.catalog, "lake", &names, "s3://lake/many");
    let listed = environment.query("SHOW TABLES IN lake");
    let listed: Vec<String> = listed.iter().map(|row| text(&row["tableName"])).collect();
    assert_eq!(listed, names);
}

#[test]
fn an_unreachable_service_is_a_retryable_error() {
    let environment = TestEnvironment::new();
    let [port] = crate::service::free_ports();
    let settings = format!("[catalog]\ntype = \"unity\"\nname = \"main\"\nendpoint = \"http://127.0.0.1:{port}\"\n");
    environment.write("pinsql.toml", settings);
    let create = environment.run_sql("CREATE TABLE t AS SELECT 1 AS id").output();
    create.failure(3, &[&["the unity catalog at http://127.0.0.1"], &["connection refused"]]);
    assert!(fs::read_dir(environment.warehouse()).is_err(), "nothing was written");
    // A statement without a table name needs no catalog.
    assert_eq!(environment.value("SELECT 1 AS one"), 1);
}

#[test]
fn columns_in_glue_follow_the_table() {
    let glue = Glue(GlueServer::shared());
    let environment = TestEnvironment::new().with_variables(glue.variables());
    environment.write("pinsql.toml", glue.settings());
    let schema = glue.schema();
    let make = format!(
        "CREATE SCHEMA {schema}; USE {schema}; CREATE TABLE t (id INT);
         ALTER TABLE t ADD COLUMN tags ARRAY<STRUCT<name: STRING, n: INT>>"
    );
    environment.run_sql(&make).output().success();
    let columns = |expected: &[(&str, &str)]| {
        let expected: Vec<_> = expected.iter().map(|(name, kind)| ((*name).to_owned(), (*kind).to_owned())).collect();
        assert_eq!(glue.columns(&schema, "t"), expected);
    };
    columns(&[("id", "int"), ("tags", "array<struct<name:string,n:int>>")]);
    environment.run_sql(&format!("CREATE OR REPLACE TABLE {schema}.t AS SELECT 'x' AS text")).output().success();
    columns(&[("text", "string")]);
}
