//! OPTIMIZE: the same rows in fewer files, and files that queries can skip.

use super::kept::kept;
use super::*;

const COUNT_AND_SUM: &str = "SELECT count(*) AS c, sum(n) AS s FROM t";

impl Fixture {
    async fn optimize(&self, z_order_by: &[&str]) -> Result<Optimized> {
        let z_order_by = z_order_by.iter().map(|column| (*column).to_owned()).collect();
        let request = OptimizeRequest { z_order_by, ..OptimizeRequest::default() };
        // A file ends with a batch: small ones make files that are small.
        let mut state = self.session.state();
        *state.config_mut() = state.config().clone().with_batch_size(64);
        optimize(&self.location, request, &state).await
    }

    /// The number of files that the statistics of the newest version leave for a query with this range.
    fn files_with(&self, version: u64, column: &str, low: i64, high: i64) -> usize {
        let bound = |statistics: &Value, side: &str| statistics[side][column].as_i64().unwrap();
        let holds = |one: &&Value| bound(one, "minValues") <= high && bound(one, "maxValues") >= low;
        self.statistics(version).iter().filter(holds).count()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn small_files_become_one_and_no_row_changes() {
    let (fixture, handle) = kept().await;
    for version in 1..=9 {
        fixture.step(&handle, version).await.unwrap();
    }
    let optimized = fixture.optimize(&[]).await.unwrap();
    assert_eq!((optimized.version, optimized.added.len(), optimized.removed.len()), (Some(10), 1, 10));
    assert_eq!((optimized.partitions, optimized.considered, optimized.skipped), (1, 10, 0));
    assert!(fixture.query(COUNT_AND_SUM).await.contains("| 10 | 45 |"));
    let actions = [fixture.actions(10, "add"), fixture.actions(10, "remove")].concat();
    assert!(actions.len() == 11 && actions.iter().all(|action| action["dataChange"] == false));
    let statistics = &fixture.statistics(10)[0];
    assert_eq!((&statistics["numRecords"], &statistics["maxValues"]["n"]), (&10.into(), &9.into()));
    let info = &fixture.actions(10, "commitInfo")[0];
    assert_eq!((&info["operation"], &info["operationParameters"]["auto"]), (&"OPTIMIZE".into(), &"false".into()));
    assert_eq!(info["operationMetrics"]["numRemovedFiles"], "10");
    // The second OPTIMIZE has nothing to do, and the stream continues.
    let again = fixture.optimize(&[]).await.unwrap();
    assert_eq!((again.version, again.added.len(), again.skipped), (None, 0, 1));
    assert_eq!(fixture.step(&handle, 10).await.unwrap().version, 11);
}

#[tokio::test(flavor = "multi_thread")]
async fn appends_beside_it_are_no_hindrance() {
    let fixture = Arc::new(kept().await.0);
    for round in 0..4 {
        let append = |n: i64| {
            let fixture = Arc::clone(&fixture);
            tokio::spawn(async move { fixture.append(&format!("SELECT CAST({n} AS BIGINT)")).await.map(drop) })
        };
        let appends: Vec<_> = (0..5).map(append).collect();
        fixture.optimize(&[]).await.unwrap();
        for append in appends {
            append.await.unwrap().unwrap();
        }
        let rows = (round + 1) * 5 + 1;
        let counted = fixture.query("SELECT count(*) AS c FROM t").await;
        assert!(counted.contains(&format!("| {rows} |")) || counted.contains(&format!("| {rows}  |")), "{counted}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn z_ordering_lets_queries_skip_files() {
    let fixture = Fixture::new();
    let sql = "SELECT value AS n, CAST(value * 7919 % 20000 AS BIGINT) AS m, \
               md5(CAST(value AS VARCHAR)) || md5(CAST(-value AS VARCHAR)) AS filler \
               FROM generate_series(0, 19999)";
    let mut definition = fixture.definition_of(sql).await;
    definition.properties.insert("delta.targetFileSize".into(), "25kb".into());
    fixture.write(WriteKind::Create(definition), sql).await.unwrap();
    let optimized = fixture.optimize(&["n", "m"]).await.unwrap();
    let files = optimized.added.len();
    assert!(files >= 48, "{files} files");
    // A stretch inside an eighth of either column. An eighth of the curve's boxes has it, and a file that ends within a box has
    // rows of two; before, every file had each stretch of `m`.
    let (by_n, by_m) = (fixture.files_with(1, "n", 5_200, 7_300), fixture.files_with(1, "m", 5_200, 7_300));
    assert!(by_n <= files / 3 && by_m <= files / 3, "{by_n} and {by_m} of {files} files");
    assert!(fixture.query(COUNT_AND_SUM).await.contains("| 20000 | 199990000 |"));
    let rows = fixture.query("SELECT count(*) AS c, count(DISTINCT m) AS d FROM t WHERE m BETWEEN 5200 AND 7199").await;
    assert!(rows.contains("| 2000 | 2000 |"), "{rows}");
    let again = fixture.optimize(&["n", "m"]).await.unwrap();
    assert_eq!((again.version, again.skipped), (None, files), "the tags say that nothing was added since");
    fixture.append("SELECT CAST(-1 AS BIGINT) AS n, CAST(-1 AS BIGINT) AS m, 'x' AS filler").await.unwrap();
    assert_eq!(fixture.optimize(&["n", "m"]).await.unwrap().removed.len(), files + 1);
}
