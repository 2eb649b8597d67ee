//! The code in `examples/databricks`, as far as open-source Spark with Delta can run it: the tables of pinsql by name,
//! the functions, the notebook. There is no workspace, so `setup.sql`, which needs one, does not run.

use std::fs;

use serde_json::{Value, json};

use crate::cleaning::QUESTIONS;
use crate::environment::{TestEnvironment, file};
use crate::raw;
use crate::same_rows::{self, TOPICS};
use crate::spark::Session;
use crate::spark_same_sql::{asked, assert_same_answer, in_schema, rows, run_file};

fn example(name: &str) -> String {
    fs::read_to_string(file(&format!("examples/databricks/{name}"))).unwrap()
}

/// An example, with this test's warehouse instead of the bucket and this test's schema instead of the catalog's.
fn placed(name: &str, environment: &TestEnvironment, schema: &str) -> String {
    let warehouse = format!("file://{}", environment.warehouse());
    example(name)
        .replace("s3://BUCKET/warehouse", &warehouse)
        .replace("pinterest.posts", &format!("spark_catalog.{schema}"))
}

/// The text and the result of each of the nine query cells.
fn run_notebook(session: &Session<'_>, environment: &TestEnvironment, schema: &str) -> Vec<Value> {
    let source = placed("questions.sql", environment, schema);
    let answers = asked(session, &json!({"do": "notebook", "source": source}));
    let [first, questions @ ..] = answers.as_array().unwrap().as_slice() else { panic!("no cells: {answers}") };
    assert_eq!(first["cell"], format!("USE spark_catalog.{schema};"));
    questions.to_vec()
}

fn assert_answers(environment: &TestEnvironment, answers: &[Value]) {
    assert_eq!(answers.len(), QUESTIONS.len());
    for (question, answer) in QUESTIONS.iter().zip(answers) {
        let text = fs::read_to_string(file(&format!("sql/queries/{question}.sql"))).unwrap();
        assert_eq!(answer["cell"], text.trim(), "the cell is not sql/queries/{question}.sql");
        assert_same_answer(environment, question, answer);
    }
}

#[test]
fn tables_are_found_by_name_and_the_notebook_gives_the_results_of_pinsql() {
    let environment = TestEnvironment::new();
    let schema = "appearing";
    same_rows::run(&environment, "clean", &[("raw", raw::examples().to_str().unwrap())]);
    let session = in_schema(schema);
    run_file(&session, &environment.write("tables.sql", placed("tables.sql", &environment, schema)), &json!({}));
    assert_answers(&environment, &run_notebook(&session, &environment, schema));
    for topic in TOPICS {
        let rejects = format!("{topic}_data_rejects");
        let count = session.sql(&format!("SELECT count(*) AS count FROM {rejects}"));
        assert_eq!(count[0]["count"], environment.value(&format!("SELECT count(*) FROM {rejects}")));
    }

    // The next run has other records. Spark needs no action to see them.
    let more = environment.path("more");
    for (topic, count) in [("pin", 40), ("geo", 50), ("user", 60)] {
        let records = same_rows::records(topic);
        raw::lay(&more, &format!("next.{topic}"), records[..count].iter().map(Vec::as_slice));
    }
    same_rows::run(&environment, "clean", &[("raw", more.to_str().unwrap())]);
    assert_answers(&environment, &run_notebook(&session, &environment, schema));

    // The statement from SHOW CREATE TABLE gives the same, with all properties of the table.
    for topic in TOPICS {
        let name = format!("{topic}_data");
        let created = environment.value(&format!("SHOW CREATE TABLE {name}"));
        let statement = created.as_str().unwrap().replace(&format!("default.{name}"), &format!("shown_{name}"));
        session.sql(&statement);
        let [by_name, shown] = [name.clone(), format!("shown_{name}")].map(|name| {
            asked(&session, &json!({"do": "sql", "statement": format!("SELECT * FROM {name} ORDER BY ALL")}))
        });
        assert!(!rows(&by_name).is_empty(), "{name}");
        assert_eq!(by_name, shown, "{name}");
    }
}

/// Ages, texts and counts at the boundaries of the functions' cases.
const EDGES: &str = r"SELECT * FROM VALUES
  (17, '0'), (18, '942k'), (24, '1.20K'), (25, '0.5m'), (35, '1.2340k'), (36, '1.000001M'), (50, '2.147483647B'),
  (51, '2147483648'), (-1, '3B'), (NULL, NULL), (0, '12.0'), (0, '00000000000000000007k'), (0, '  12k\n'),
  (0, '\u00a012k\u3000'), (0, '1.2345k'), (0, '0.5'), (0, '99999999999M'), (0, '99999999999999999999999'), (0, ''),
  (0, '   '), (0, 'k'), (0, '.'), (0, '.5k'), (0, '5.k'), (0, '1.2.3k'), (0, '12kk'), (0, '12 k'), (0, '1,200'),
  (0, '-5'), (0, '+5'), (0, '1e3'), (0, '１２k'), (0, 'User Info Error'), (0, '12.000000001'), (0, '1.00000000000000k'), (0, '1.0000000001k') AS edges (age, text)";

fn calls(prefix: &str) -> String {
    format!(
        "SELECT age, text, {prefix}age_group(age) AS age_group, {prefix}parse_count(text) AS count,
           {prefix}strip_prefix(text, '1') AS stripped, {prefix}strip_prefix(text, '.') AS no_pattern,
           {prefix}strip_prefix(text, '') AS whole, {prefix}null_if_any(text, 'k', '', 'User Info Error') AS known,
           {prefix}null_if_any(text, 'K') AS cased, {prefix}strip_prefix(text, NULL) AS unknown
         FROM ({EDGES}) ORDER BY text, age"
    )
}

#[test]
fn the_sql_functions_give_the_results_of_the_built_in_functions() {
    let environment = TestEnvironment::new();
    environment.pinsql(&["run", &file("examples/databricks/functions.sql")]).output().success();
    let built_in = environment.query(&calls(""));
    assert_eq!(built_in.len(), 36);
    assert_eq!(environment.query(&calls("default.")), built_in, "left are the functions in SQL, in pinsql");
    let session = in_schema("same_functions");
    assert_eq!(session.sql(&calls("")), built_in, "left are the functions in SQL, in Spark");
}
