use std::sync::Arc;
use std::time::{Duration, Instant};

use reedline::Completer as _;
use tokio::runtime::Handle;

use super::*;
use crate::config::{Config, Layer, Param};
use crate::session::Session;
use crate::statement::{self, Watch};

struct NobodyWatches;

impl Watch for NobodyWatches {
    fn started(&self, _: &Arc<dyn datafusion::physical_plan::ExecutionPlan>) -> Box<dyn Send> {
        Box::new(())
    }
}

async fn completer(folder: &std::path::Path) -> SqlCompleter {
    let warehouse = Some(folder.join("warehouse").display().to_string());
    let session = Session::new(Config::resolve(Layer { warehouse, ..Layer::default() }, None).unwrap()).await.unwrap();
    for sql in [
        "CREATE TABLE pins (ind INT, title STRING, `two-words` INT)",
        "CREATE SCHEMA silver",
        "CREATE TABLE silver.geo (country STRING)",
        "CREATE TEMPORARY VIEW recent AS SELECT ind AS number FROM pins",
    ] {
        let statement = statement::parse(sql).unwrap().remove(0);
        statement::execute(&session, &statement, &NobodyWatches).await.unwrap();
    }
    session.set_param("day", Some(Param::Integer(1)));
    SqlCompleter::new(Lookups::new(Arc::new(session), Handle::current()))
}

/// The suggestions at the `|` of `marked`, after all lookups have finished.
fn offered(completer: &mut SqlCompleter, marked: &str) -> Vec<String> {
    let cursor = marked.find('|').unwrap();
    let line = marked.replace('|', "");
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let result = completer.complete(&line, cursor);
        if !result.is_pending() {
            return result.suggestions().iter().map(|suggestion| suggestion.value.clone()).collect();
        }
        assert!(Instant::now() < deadline, "no answer for {marked}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_come_from_the_warehouse_and_the_statement() {
    let folder = tempfile::tempdir().unwrap();
    let mut completer = completer(folder.path()).await;
    let mut check = |marked: &str, expected: &[&str]| assert_eq!(offered(&mut completer, marked), expected, "{marked}");
    check("SELECT * FROM pi|", &["pins"]);
    check("SELECT * FROM re|", &["recent", "read_files(", "read_kafka(", "read_kinesis(", "read_mysql("]);
    check("SELECT * FROM sil|", &["silver."]);
    check("SELECT * FROM silver.|", &["geo"]);
    check("USE s|", &["silver"]);
    check("SELECT tit| FROM pins", &["title"]);
    check("SELECT tit|", &["title"]);
    check("SELECT two|", &["`two-words`"]);
    check("SELECT p.| FROM pins AS p", &["ind", "title", "`two-words`"]);
    check("SELECT p.tw| FROM pins AS p", &["`two-words`"]);
    check("SELECT r.| FROM recent r", &["number"]);
    check("WITH a AS (SELECT 1 AS one) SELECT a.| FROM a", &["one"]);
    check("SELECT q.| FROM (SELECT ind AS inner_name FROM pins) q", &["inner_name"]);
    check("SELECT :d|", &[":day"]);
    check("SELECT * FROM silver.geo WHERE coun| ", &["country", "count(", "count_if("]);
}

#[tokio::test(flavor = "multi_thread")]
async fn words_functions_options_and_paths() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("raw")).unwrap();
    std::fs::write(folder.path().join("raw/pins.json"), "{\"a\": 1}\n").unwrap();
    let root = folder.path().display().to_string();
    let mut completer = completer(folder.path()).await;
    let mut check = |marked: &str, expected: &[&str]| assert_eq!(offered(&mut completer, marked), expected, "{marked}");
    check("EXPL|", &["EXPLAIN"]);
    check("expl|", &["explain"]);
    check("SELECT 1 FROM pins WHE|", &["WHERE"]);
    check("DROP SCH|", &["SCHEMA"]);
    check("SELECT regexp_ext|", &["regexp_extract(", "regexp_extract_all("]);
    check("SELECT * FROM read_files('a', schemaH|", &["schemaHints => "]);
    check("SELECT * FROM read_kinesis(stre|", &["streamName => ", "streamARN => "]);
    check(&format!("SELECT * FROM read_files('{root}/ra|"), &[&format!("{root}/raw/")]);
    check(&format!("SELECT * FROM read_files('{root}/raw/|"), &[&format!("{root}/raw/pins.json")]);
    check(&format!("SELECT a FROM read_files('{root}/raw/pins.json') f WHERE f.|"), &["a"]);
    check(&format!("SELECT * FROM read_files('{root}/raw/..|"), &[&format!("{root}/raw/../")]);
    check(&format!("SELECT * FROM read_files('{root}/raw/../ra|"), &[&format!("{root}/raw/../raw/")]);
    check("SELECT * FROM read_files('a', format => 'p|", &["parquet"]);
    check("SELECT * FROM read_files('a', mode => 'd|", &["DROPMALFORMED"]);
    check(".tim|", &[".timer"]);
    check(".mode nd|", &["ndjson"]);
    check(".timer o|", &["on", "off"]);
    check(".schema pi|", &["pins"]);
    check("SELECT 'nothing |", &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_discarded_after_a_statement() {
    let folder = tempfile::tempdir().unwrap();
    let mut completer = completer(folder.path()).await;
    assert_eq!(offered(&mut completer, "SELECT * FROM pi|"), ["pins"]);
    let statement = statement::parse("CREATE TABLE pin_data (a INT)").unwrap().remove(0);
    statement::execute(completer.lookups.session(), &statement, &NobodyWatches).await.unwrap();
    assert_eq!(offered(&mut completer, "SELECT * FROM pi|"), ["pins"]);
    completer.lookups.forget();
    assert_eq!(offered(&mut completer, "SELECT * FROM pi|"), ["pin_data", "pins"]);
}
