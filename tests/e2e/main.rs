//! End-to-end tests: they run the built binary against real services.
//!
//! A test checks the exit code, the output, the report and the tables of a run. Other programs read the tables back.
//! The S3 server, Spark and the other readers are real. `./test` installs them, and a test fails if one is missing.
//! Tests of one function or one statement are next to its code.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "what a failed test prints is shown with it")]

mod certificate;
mod environment;
mod fault_proxy;
mod glue;
mod kafka;
mod kinesis_services;
mod kinesis_table;
mod mariadb;
mod oracle;
mod python;
mod raw;
mod s3;
mod service;
mod sink;
mod spark;
mod stream;
mod unity;

mod airflow;
mod airflow_home;
mod alternate_writers;
mod catalogs;
mod change_rows;
mod change_writers;
mod cleaning;
mod continuing;
mod copy_into;
mod crash;
mod databricks;
mod definitions;
mod emulate;
mod emulate_api;
mod emulate_database;
mod emulate_faults;
mod foreign_tables;
mod gateway;
mod gateway_kinesis;
mod gateway_load;
mod kafka_backlog;
mod kafka_faults;
mod kafka_security;
mod kafka_source;
mod kafka_topics;
mod kinesis;
mod kinesis_faults;
mod local_faults;
mod maintenance;
mod mysql;
mod mysql_conditions;
mod mysql_faults;
mod pipeline;
mod reader_tables;
mod readers;
mod s3_credentials;
mod s3_faults;
mod same_rows;
mod sink_kills;
mod sink_messages;
mod sink_objects;
mod spark_answers;
mod spark_reads;
mod spark_same_sql;
mod stream_faults;
mod stream_kills;
mod stream_operation;
mod stream_steps;
mod stream_upkeep;
mod unusual_records;
mod writers;
