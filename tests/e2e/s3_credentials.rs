//! Sources of S3's credentials, region and endpoint. Each is tested against the real server.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use serde_json::json;

use crate::environment::TestEnvironment;
use crate::raw;
use crate::s3::{self, Identity, variables};

/// Reads one object through `environment`.
fn assert_reads(environment: &TestEnvironment, name: &str) {
    let server = s3::server();
    let key = format!("{}/records.json", server.prefix(name));
    server.put(&key, raw::numbered(0, 3));
    let sql = format!("SELECT count(*) AS rows FROM read_files('{}', schema => 'id BIGINT')", server.url(&key));
    assert_eq!(environment.query(&sql), [json!({ "rows": 3 })], "{name}");
}

/// The value of one variable that reaches the server.
fn variable(name: &str) -> String {
    let all = variables(s3::server().port(), Identity::Owner);
    all.into_iter().find(|(known, _)| *known == name).unwrap().1
}

#[test]
fn credentials_from_the_environment() {
    let environment = TestEnvironment::new().with_variables(s3::server().variables(Identity::Owner));
    assert_reads(&environment, "environment");
}

/// Kinesis and S3 often have different endpoints. The S3-specific variable takes precedence.
#[test]
fn an_endpoint_only_for_s3() {
    let mut variables = s3::server().variables(Identity::Owner);
    variables.push(("AWS_ENDPOINT_URL_S3", variable("AWS_ENDPOINT_URL")));
    let nobody_answers = ("AWS_ENDPOINT_URL", "http://127.0.0.1:9".to_owned());
    let environment = TestEnvironment::new().with_variables(variables).with_variables([nobody_answers]);
    assert_reads(&environment, "endpoint");
}

#[test]
fn credentials_from_a_profile() {
    let environment = TestEnvironment::new().with_variables([("AWS_PROFILE", "posts".to_owned())]);
    environment.write(
        "home/.aws/config",
        format!(
            "[profile posts]\nregion = {}\nendpoint_url = {}\n",
            variable("AWS_REGION"),
            variable("AWS_ENDPOINT_URL")
        ),
    );
    environment.write(
        "home/.aws/credentials",
        format!(
            "[posts]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
            variable("AWS_ACCESS_KEY_ID"),
            variable("AWS_SECRET_ACCESS_KEY")
        ),
    );
    assert_reads(&environment, "profile");
}

#[test]
fn credentials_from_a_container() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/credentials", listener.local_addr().unwrap());
    let body = json!({
        "AccessKeyId": variable("AWS_ACCESS_KEY_ID"),
        "SecretAccessKey": variable("AWS_SECRET_ACCESS_KEY"),
        "Token": "",
        "Expiration": "2100-01-01T00:00:00Z",
    })
    .to_string();
    // The thread ends with the test's process.
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]).unwrap();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}", body.len());
            write!(stream, "{head}\r\nconnection: close\r\n\r\n{body}").unwrap();
        }
    });
    let environment = TestEnvironment::new().with_variables([
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", address),
        ("AWS_ENDPOINT_URL", variable("AWS_ENDPOINT_URL")),
        ("AWS_REGION", variable("AWS_REGION")),
    ]);
    assert_reads(&environment, "container");
}

#[test]
fn the_endpoint_from_the_settings() {
    let environment = TestEnvironment::new().with_variables([
        ("AWS_ACCESS_KEY_ID", variable("AWS_ACCESS_KEY_ID")),
        ("AWS_SECRET_ACCESS_KEY", variable("AWS_SECRET_ACCESS_KEY")),
    ]);
    environment.write("pinsql.toml", format!("[s3]\nendpoint = '{}'\n", variable("AWS_ENDPOINT_URL")));
    assert_reads(&environment, "settings");
}
