//! `pinsql emulate` without services: the errors of the command line, and the files in a folder.

use insta::assert_snapshot;

use crate::scratch::Scratch;

/// The output of a run, without its speed.
fn run(scratch: &Scratch, arguments: &[&str]) -> String {
    let said = scratch.run(&[&["emulate"], arguments].concat());
    let lines = said.lines().map(|line| match line.rsplit_once("), ") {
        Some((counts, rate)) if rate.ends_with(" records/s") => format!("{counts}), [RATE]"),
        _ => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_run_prints_the_outcome_of_every_record() {
    let scratch = Scratch::new();
    let arguments = ["--generate", "--to", "raw", "--count", "20", "--rate", "max", "--report", "report.json"];
    assert_snapshot!("emulate", run(&scratch, &arguments));
    let report = std::fs::read(scratch.path().join("report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    let receiver = &report["receivers"][0];
    assert_eq!((&report["seed"], &report["posts"], &receiver["to"]), (&100.into(), &20.into(), &"raw".into()));
    let counts = serde_json::json!({"sent": 20, "acknowledged": 20, "failed": 0, "refused": 0});
    assert_eq!((&receiver["sent"], &receiver["topics"]["user"]), (&60.into(), &counts));
    assert_snapshot!("emulate_rows", scratch.run(&[
        "-c",
        "SELECT count(*) AS records, count(DISTINCT ind) AS users FROM read_files('raw/topics/user', format => 'json', schema => 'ind INT')",
        "--format",
        "csv",
    ]));
    let machine =
        run(&scratch, &["--generate", "--to", "more", "--count", "1", "--rate", "max", "--log-format", "json"]);
    assert!(machine.contains(r#""event":"posted""#) && machine.contains(r#""acknowledged":3"#), "{machine}");
}

#[test]
fn an_invalid_command_line_is_an_error() {
    let scratch = Scratch::new();
    scratch.file("empty", "\n");
    scratch.file("broken.properties", "sasl.mechanism=PLAIN\npassword hush\n");
    scratch.file("refused.properties", "acks=0\n");
    for (name, arguments) in [
        ("emulate_nobody", &["--generate"][..]),
        ("emulate_no_rows", &["--to", "raw"]),
        ("emulate_rate_0", &["--generate", "--to", "raw", "--rate", "0/s"]),
        ("emulate_rate_and_wait", &["--generate", "--to", "raw", "--rate", "5/s", "--wait", "1s"]),
        ("emulate_wait_backwards", &["--generate", "--to", "raw", "--wait", "2s..1s"]),
        ("emulate_no_such_topic", &["--generate", "--to", "raw", "--topics", "pin,place"]),
        ("emulate_prefix", &["--generate", "--to", "raw", "--prefix", "0a/1b"]),
        ("emulate_topic_twice", &["--generate", "--to", "raw", "--topics", "pin,pin"]),
        ("emulate_to_twice", &["--generate", "--to", "raw", "--to", "raw/"]),
        ("emulate_scheme", &["--generate", "--to", "ftp://host/x"]),
        ("emulate_which_api", &["--generate", "--to", "http://host/x"]),
        ("emulate_user_in_url", &["--generate", "--to", "http://me:hush@host/topics"]),
        ("emulate_secret_in_url", &["--generate", "--to", "kafka://host:1?sasl.password=hush"]),
        ("emulate_no_brokers", &["--generate", "--to", "kafka://host"]),
        ("emulate_stream_name", &["--generate", "--to", "kinesis://a b"]),
        ("emulate_kinesis_option", &["--generate", "--to", "kinesis://posts?zone=1"]),
        ("emulate_bad_percent", &["--generate", "--to", "raw", "--bad", "200"]),
        ("emulate_batch_0", &["--generate", "--to", "raw", "--batch", "0"]),
        ("emulate_no_key", &["--generate", "--to", "http://host/topics", "--api-key-file", "empty"]),
        ("emulate_key_file_gone", &["--generate", "--to", "http://host/topics", "--api-key-file", "gone"]),
        (
            "emulate_properties_broken",
            &["--generate", "--to", "kafka://127.0.0.1:1", "--kafka-config", "broken.properties"],
        ),
        (
            "emulate_properties_refused",
            &["--generate", "--to", "kafka://127.0.0.1:1", "--kafka-config", "refused.properties"],
        ),
        ("emulate_db_and_generate", &["--generate", "--db", "--to", "raw"]),
        (
            "emulate_credentials_without_db",
            &["--generate", "--credentials", "db_creds.yaml", "--to", "raw", "--count", "1"],
        ),
        ("emulate_bad_of_a_database", &["--db", "--bad", "5", "--to", "raw"]),
        ("emulate_db_nowhere", &["--db", "--to", "raw"]),
        ("emulate_credentials_gone", &["--db", "--credentials", "db_creds.yaml", "--to", "raw"]),
        ("emulate_password_in_url", &["--db", "--db-url", "mysql://me:hush@127.0.0.1:1/pins", "--to", "raw"]),
        ("emulate_db_unreachable", &["--db", "--db-url", "mysql://me@127.0.0.1:1/pins", "--to", "raw"]),
        ("emulate_report_nowhere", &["--generate", "--to", "raw", "--count", "1", "--report", "gone/report.json"]),
    ] {
        assert_snapshot!(name, run(&scratch, arguments));
    }
    assert!(!scratch.path().join("raw").exists(), "something was sent");
}

#[test]
fn an_unreachable_target_is_an_error_at_once() {
    let scratch = Scratch::new();
    scratch.file("file", "no folder");
    let posting = ["--generate", "--count", "2", "--rate", "max", "--give-up-after", "300ms", "--topics", "pin"];
    let to = |to: &'static str| [&posting[..], &["--to", to]].concat();
    assert_snapshot!("emulate_into_a_file", run(&scratch, &to("file")));
    assert_snapshot!("emulate_no_region", run(&scratch, &to("kinesis://posts")));
    // The number of attempts is random.
    let unreachable = run(&scratch, &to("http://127.0.0.1:1/topics"));
    for said in [
        "http://127.0.0.1:1/topics: no connection: Connection refused (os error 111); tried again",
        "http://127.0.0.1:1/topics: given up after 300ms: no connection: Connection refused (os error 111)",
        "http://127.0.0.1:1/topics: sent 2 = acknowledged 0 + failed 2 (retries ",
        "error[SERVICE_UNAVAILABLE]: 2 records were not acknowledged\n",
        "exit code 3",
    ] {
        assert!(unreachable.contains(said), "{said}: {unreachable}");
    }
    let unreachable = run(&scratch, &to("kafka://127.0.0.1:1"));
    let no_broker = "error[SERVICE_UNAVAILABLE]: no broker of 127.0.0.1:1 answers";
    assert!(unreachable.contains(no_broker) && unreachable.ends_with("exit code 3"));
}
