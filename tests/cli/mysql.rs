//! Errors of `read_mysql` that need no server. Tests with a server are in `tests/e2e`.

use insta::assert_snapshot;

use crate::scratch::Scratch;

fn check(name: &str, calls: &[&str]) {
    let scratch = Scratch::new();
    scratch.file("db_creds.yaml", "HOST: 127.0.0.1\nUSER: me\nPASSWORD: hunter2\nDATABASE: pins\nPORT: 1\n");
    scratch.file("wrong_creds.yaml", "HOST: 127.0.0.1\nPASSWORT: hunter2\n");
    scratch.file("torn_creds.yaml", "HOST: 127.0.0.1\nPASSWORD: 'hunter2\n");
    let transcripts: Vec<String> = calls
        .iter()
        .map(|call| {
            scratch.file("read.sql", format!("SELECT 1;\nSELECT * FROM {call};\n"));
            scratch.run(&["run", "read.sql", "--format", "csv"])
        })
        .collect();
    assert!(transcripts.iter().all(|transcript| !transcript.contains("hunter2")));
    assert_snapshot!(name, transcripts.join("\n"));
}

#[test]
fn an_incomplete_call_is_an_error_that_names_the_missing_part() {
    check(
        "mysql_missing",
        &[
            "read_mysql()",
            "read_mysql('pin_data')",
            "read_mysql(table => 'pin_data')",
            "read_mysql(table => 'pin_data', host => 'db')",
            "read_mysql(table => 'pin_data', credentials => 'no_such_creds.yaml')",
            "STREAM read_mysql(table => 'pin_data', credentials => 'db_creds.yaml')",
        ],
    );
}

#[test]
fn a_wrong_option_is_an_error_that_names_it() {
    check(
        "mysql_options",
        &[
            "read_mysql(tabel => 'pin_data')",
            "read_mysql(table => 'pin_data', fetchSize => 1000)",
            "read_mysql(table => 'pin_data', query => 'SELECT 1')",
            "read_mysql(table => 'a.b.c', credentials => 'db_creds.yaml')",
            "read_mysql(table => 'pin_data', credentials => 'db_creds.yaml', sslMode => 'VERIFY_CA')",
            "read_mysql(table => 'pin_data', credentials => 'db_creds.yaml', sslMode => 'REQUIRED', sslCa => 'ca.pem')",
            "read_mysql(table => 'pin_data', credentials => 'db_creds.yaml', zeroDateTimeBehavior => 'ROUND')",
            "read_mysql(table => 'pin_data', credentials => 'db_creds.yaml', port => 'many')",
        ],
    );
}

/// Neither the message nor the line of SQL in an error contains the password.
#[test]
fn a_password_is_refused_and_never_shown() {
    check(
        "mysql_secrets",
        &[
            "read_mysql(table => 'pin_data', host => 'db', user => 'me', password => 'hunter2')",
            "read_mysql(table => 'pin_data', url => 'mysql://me:hunter2@db/pins')",
            "read_mysql(tabel => 'pin_data', password => 'hunter2')",
            "read_mysql(table => 'pin_data', url => 'postgres://me:hunter2@db/pins')",
            "read_mysql(table => 'pin_data', credentials => 'wrong_creds.yaml')",
            "read_mysql(table => 'pin_data', credentials => 'torn_creds.yaml')",
        ],
    );
}

#[test]
fn an_unreachable_server_is_an_error_that_names_it() {
    check("mysql_unreachable", &["read_mysql(table => 'pin_data', credentials => 'db_creds.yaml')"]);
}
