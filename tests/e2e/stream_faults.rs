//! A stream continues although requests to its storage keep failing in every way.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::environment::{PATIENCE, TestEnvironment};
use crate::fault_proxy::{Fault, FaultProxy, Rule};
use crate::s3::{self, Identity};
use crate::stream::write_files;

/// The stream runs over failing storage for at least this time, and until `FAULTS_MIN` requests have failed.
const FAULTY_TIME: Duration = Duration::from_secs(15);
const FAULTS_MIN: usize = 11;

#[test]
fn a_stream_survives_storage_that_keeps_failing() {
    let server = s3::server();
    let warehouse = server.url(&format!("{}/warehouse", server.prefix("faulty")));
    let owner = TestEnvironment::new().with_variables(server.variables(Identity::Owner)).with_warehouse(&warehouse);
    let folder = owner.path("raw");
    fs::create_dir_all(&folder).unwrap();
    let raw = folder.to_str().unwrap();
    let file = owner.write(
        "stream.sql",
        "CREATE OR REFRESH STREAMING TABLE faulty AS
         SELECT * FROM STREAM read_files(:raw, format => 'json', schema => 'serial BIGINT, payload STRING')",
    );
    // Create the table before the faults begin. A start over failing storage is correctly an error.
    owner.pinsql(&["run", &file]).parameter("raw", raw).output().success();
    let one_in_eight = |_: &_| rand::random_ratio(1, 8);
    let proxy =
        FaultProxy::start(server, Rule { applies: one_in_eight, skip: 30, times: usize::MAX, fault: Fault::Mixed });
    let faulty = TestEnvironment::new().with_variables(proxy.variables()).with_warehouse(&warehouse);
    let over = AtomicBool::new(false);
    let sent = thread::scope(|scope| {
        let producer = scope.spawn(|| write_files(&folder, &over));
        let stream = faulty.pinsql(&["stream", &file, "--trigger", "100ms"]).parameter("raw", raw).start();
        let begun = Instant::now();
        while begun.elapsed() < FAULTY_TIME || (proxy.faults() < FAULTS_MIN && begun.elapsed() < PATIENCE) {
            thread::sleep(Duration::from_millis(100));
        }
        over.store(true, Ordering::Relaxed);
        let output = stream.terminate().success();
        println!("{} batches landed", output.stderr.matches("\"event\":\"landed\"").count());
        producer.join().unwrap()
    });
    println!("{} requests failed, {} records", proxy.faults(), sent.count());
    assert!(proxy.faults() >= FAULTS_MIN, "{} requests failed: nothing was tested", proxy.faults());
    owner.pinsql(&["run", &file]).parameter("raw", raw).output().success();
    sent.assert_arrived(&owner, "faulty");
}
