//! `read_mysql` against a real MariaDB server.

use std::fs;

use crate::mariadb::{self, Mariadb, PASSWORD, STRANGER, USER};

#[test]
fn a_killed_server_keeps_its_data() {
    let mut server = Mariadb::start();
    server.load("CREATE TABLE kept (title VARCHAR(10)) ENGINE=InnoDB; INSERT INTO kept VALUES ('😀')");
    server.kill();
    server.begin();
    assert_eq!(server.statements("INSERT INTO kept").len(), 1);
    assert!(fs::read_to_string(server.credentials_file()).unwrap().contains(PASSWORD));

    let database = mariadb::server().database("other");
    let accounts = format!("SELECT count(*), NULL FROM mysql.user WHERE user IN ('{USER}', '{STRANGER}')");
    assert_eq!(database.query(&accounts), ["2\tNULL"]);
    assert!(database.variables().iter().any(|(_, value)| *value == database.server.port().to_string()));
    assert!(database.server.certificate().exists());
}
