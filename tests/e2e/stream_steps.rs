//! A stream is killed before or after each single change that it makes in its store.
//!
//! A proxy holds the n-th request that changes anything, either before the server receives it or after the server has
//! executed it. The process is killed while it waits. Its successor must write every record once. n grows until a run
//! ends without a held request. Then every step of a batch was the last one, in both ways.

use crate::environment::TestEnvironment;
use crate::fault_proxy::{Fault, FaultProxy, Request, Rule};
use crate::s3::{self, Identity};
use crate::stream::Sent;

/// Records of one run: enough to include a broken one.
const RECORDS: usize = 12;
/// No run makes more changes than this.
const STEPS_MAX: usize = 60;

const STATEMENT: &str = "CREATE OR REFRESH STREAMING TABLE steps AS
    SELECT * FROM STREAM read_files(:raw, format => 'json', schema => 'serial BIGINT, payload STRING')";

#[test]
fn a_stream_killed_before_any_step_loses_nothing() {
    assert!(die_at_each_step("before", Fault::HeldBefore) > 5);
}

#[test]
fn a_stream_killed_after_any_step_doubles_nothing() {
    assert!(die_at_each_step("after", Fault::HeldAfter) > 5);
}

/// Returns the number of steps at which a run was killed.
fn die_at_each_step(name: &str, fault: Fault) -> usize {
    let server = s3::server();
    let prefix = server.prefix(&format!("steps-{name}"));
    let warehouse = server.url(&format!("{prefix}/warehouse"));
    let raw = server.url(&format!("{prefix}/raw"));
    let owner = TestEnvironment::new().with_variables(server.variables(Identity::Owner)).with_warehouse(&warehouse);
    let mut sent = Sent::default();
    for step in 0..STEPS_MAX {
        let lines: Vec<String> = (0..RECORDS).map(|_| sent.next()).collect();
        server.put(&format!("{prefix}/raw/{step:03}.json"), lines.join("\n"));
        let proxy = FaultProxy::start(server, Rule { applies: Request::is_change, skip: step, times: 1, fault });
        let held = TestEnvironment::new().with_variables(proxy.variables()).with_warehouse(&warehouse);
        let output = held.run_sql(STATEMENT).parameter("raw", &raw).start().kill_when(|| proxy.holds());
        if proxy.faults() == 0 {
            output.success();
            sent.assert_arrived(&owner, "steps");
            println!("{step} steps");
            return step;
        }
        owner.run_sql(STATEMENT).parameter("raw", &raw).output().success();
        sent.assert_arrived(&owner, "steps");
    }
    panic!("a run makes more than {STEPS_MAX} changes");
}
