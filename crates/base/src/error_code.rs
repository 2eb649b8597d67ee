//! The table of error codes: one line a code, in groups.
//!
//! A code is stable: scripts and alerts may depend on it, so a released code is never renamed or reused. Where Databricks has
//! an error condition for the same fault, the code has its name. `docs/errors.md` is this table for users, and a test compares
//! the two. A code decides the [`ErrorKind`], and the kind decides the exit code.

use std::fmt;

use super::error::ErrorKind;

/// Defines [`ErrorCode`] from the table below. A line is: variant, name, kind, meaning.
macro_rules! error_codes {
    ($($variant:ident $name:literal $kind:ident $meaning:literal;)*) => {
        /// The stable identifier of a fault. It is printed in front of the message, and is in `--report` and in JSON logs.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $(#[doc = $meaning] $variant,)*
        }

        impl ErrorCode {
            /// Every code, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name as users see it, such as `UNRESOLVED_COLUMN`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The kind of every error with this code.
            pub const fn kind(self) -> ErrorKind {
                match self { $(Self::$variant => ErrorKind::$kind,)* }
            }

            /// One sentence for the documentation.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }
        }
    };
}

error_codes! {
    // The command line.
    InvalidUsage "INVALID_USAGE" Usage "A flag, an argument, a file on the command line or a command of the shell is wrong.";

    // The text of a statement.
    ParseSyntaxError "PARSE_SYNTAX_ERROR" Sql "The statement does not parse.";
    ConflictingClauses "CONFLICTING_CLAUSES" Sql "A clause is given twice, or two clauses exclude each other.";
    UnsupportedFeature "UNSUPPORTED_FEATURE" Sql "Databricks has this form, and pinsql does not.";
    InvalidSqlFile "INVALID_SQL_FILE" Sql "A file that SOURCE names cannot be read.";
    DuplicatedCteNames "DUPLICATED_CTE_NAMES" Sql "Two queries of a WITH clause have the same name.";
    InvalidIdentifier "INVALID_IDENTIFIER" Sql "A name is not valid for the object it names.";
    UnboundSqlParameter "UNBOUND_SQL_PARAMETER" Sql "A parameter marker has no value.";
    StatementTooComplex "STATEMENT_TOO_COMPLEX" Sql "The statement nests or expands beyond a limit.";

    InvalidStatement "INVALID_STATEMENT" Sql "The statement parses, but it has no valid plan.";

    // Names that a statement resolves.
    UnresolvedColumn "UNRESOLVED_COLUMN" Sql "No column has this name.";
    AmbiguousReference "AMBIGUOUS_REFERENCE" Sql "Several columns have this name.";
    UnresolvedField "FIELD_NOT_FOUND" Sql "The STRUCT has no field with this name.";
    UnresolvedRoutine "UNRESOLVED_ROUTINE" Sql "No function has this name.";
    UnresolvedVariable "UNRESOLVED_VARIABLE" Sql "No session variable has this name.";
    TableOrViewNotFound "TABLE_OR_VIEW_NOT_FOUND" Sql "No table, view or sink has this name.";
    SchemaNotFound "SCHEMA_NOT_FOUND" Sql "No schema or catalog has this name.";
    TableOrViewAlreadyExists "TABLE_OR_VIEW_ALREADY_EXISTS" Sql "A table, view or sink has this name already.";
    SchemaAlreadyExists "SCHEMA_ALREADY_EXISTS" Sql "A schema has this name already.";
    SchemaNotEmpty "SCHEMA_NOT_EMPTY" Sql "The schema still has tables or definitions.";
    RoutineAlreadyExists "ROUTINE_ALREADY_EXISTS" Sql "A function has this name already.";
    VariableAlreadyExists "VARIABLE_ALREADY_EXISTS" Sql "A session variable has this name already.";
    WrongObjectType "WRONG_COMMAND_FOR_OBJECT_TYPE" Sql "The statement does not apply to this kind of object, such as a view.";
    InvalidTempObjReference "INVALID_TEMP_OBJ_REFERENCE" Sql "A stored view or function uses a variable or a temporary object.";
    RecursiveDefinition "RECURSIVE_DEFINITION" Sql "A view or a function refers to itself.";

    // Types and arguments of expressions.
    DatatypeMismatch "DATATYPE_MISMATCH" Sql "An expression has another type than its place requires.";
    UnsupportedDatatype "UNSUPPORTED_DATATYPE" Sql "The type is unknown, or a table cannot store it.";
    WrongNumArgs "WRONG_NUM_ARGS" Sql "A function receives too many or too few arguments, or an unknown argument name.";
    InvalidParameterValue "INVALID_PARAMETER_VALUE" Sql "A constant argument of a function is not valid.";
    InvalidPattern "INVALID_PATTERN" Sql "A regular expression, a datetime pattern or a number format is not valid.";
    InvalidExpression "INVALID_EXPRESSION" Sql "The expression is not allowed in this place.";
    InvalidCondition "INVALID_CONDITION" Sql "A condition is not a BOOLEAN, or uses what a condition in this place cannot use.";
    DuplicateColumn "COLUMN_ALREADY_EXISTS" Sql "Two columns, fields or parameters have the same name.";
    ColumnArityMismatch "INSERT_COLUMN_ARITY_MISMATCH" Sql "The query and the target have different numbers of columns.";

    // Options, clauses and properties.
    UnknownOption "UNKNOWN_OPTION" Sql "No option has this name.";
    InvalidOption "INVALID_OPTION" Sql "The value of an option is not valid, or the option is given twice.";
    MissingOption "MISSING_OPTION" Sql "A required option is missing.";
    UnknownProperty "UNKNOWN_TABLE_PROPERTY" Sql "No table property or constraint has this name.";
    InvalidProperty "INVALID_TABLE_PROPERTY" Sql "The value of a table property is not valid, or the property is not supported.";
    InvalidTableDefinition "INVALID_TABLE_DEFINITION" Sql "The columns, partitions, constraints or location are not valid.";
    InvalidSinkDefinition "INVALID_SINK_DEFINITION" Sql "The destination, options or columns do not make a valid sink.";
    InvalidFunctionDefinition "INVALID_FUNCTION_DEFINITION" Sql "The parameters, clauses or body do not make a valid function.";
    InvalidLibrary "INVALID_LIBRARY" Sql "A library of user functions cannot be loaded, or breaks the interface.";

    // Versions and changes of tables.
    InvalidTableVersion "INVALID_TABLE_VERSION" Sql "The version or timestamp does not name a version of the table.";
    ChangesNotRecorded "CHANGE_DATA_NOT_RECORDED" Sql "The change data feed does not cover the requested versions.";
    InvalidAssignment "INVALID_ASSIGNMENT" Sql "A column is assigned twice, or the assigned value does not fit the column.";

    // Streams.
    NotAStream "NOT_A_STREAM" Sql "A streaming statement reads no stream or several streams, or a batch statement reads one.";
    UnsupportedStreamingOperation "UNSUPPORTED_STREAMING_OPERATION" Sql "The operation needs the whole stream.";
    StreamDefinitionChanged "STREAM_DEFINITION_CHANGED" Sql "The query changed in a way that the checkpoint cannot continue.";
    CheckpointNotFound "CHECKPOINT_NOT_FOUND" Sql "The table or sink has no checkpoint.";

    // The data.
    PathNotFound "PATH_NOT_FOUND" Data "A path without a wildcard names no file and no folder with files.";
    UnknownFileFormat "UNKNOWN_FILE_FORMAT" Sql "The format of the files is unknown.";
    NoMatchingFiles "NO_MATCHING_FILES" Data "No file matches the wildcards of a path, or its filters.";
    UnableToInferSchema "UNABLE_TO_INFER_SCHEMA" Data "The files have no record that shows their columns.";
    InvalidRecord "INVALID_RECORD" Data "A record cannot be read.";
    LateRecord "LATE_RECORD" Data "A record of a stream is older than the watermark.";
    TooManyRejects "TOO_MANY_REJECTS" Data "More records were rejected than --max-rejects allows.";
    InvalidFile "INVALID_FILE" Data "A file is damaged, or does not have the declared format.";
    UnsupportedCompression "UNSUPPORTED_COMPRESSION" Data "A file is compressed in a way that pinsql cannot read.";
    DivideByZero "DIVIDE_BY_ZERO" Data "A division by zero.";
    ArithmeticOverflow "ARITHMETIC_OVERFLOW" Data "A number is out of the range of its type.";
    CastInvalidInput "CAST_INVALID_INPUT" Data "A value cannot be cast to the requested type.";
    InvalidArrayIndex "INVALID_ARRAY_INDEX" Data "An index is zero or out of the bounds of its array.";
    ExecutionFailed "EXECUTION_FAILED" Data "An expression fails on a row.";
    UserRaisedException "USER_RAISED_EXCEPTION" Data "The query called raise_error, or the condition of assert_true is false.";
    InvalidValue "INVALID_VALUE" Data "A function received a value that it does not accept.";
    NullMapKey "NULL_MAP_KEY" Data "A key of a MAP is NULL.";
    DuplicatedMapKey "DUPLICATED_MAP_KEY" Data "A MAP has the same key twice.";
    ScalarSubqueryTooManyRows "SCALAR_SUBQUERY_TOO_MANY_ROWS" Data "A query that must give one value gives several rows.";
    RecursionLevelLimitExceeded "RECURSION_LEVEL_LIMIT_EXCEEDED" Data "A recursive query has more than 100 levels.";
    RecursionRowLimitExceeded "RECURSION_ROW_LIMIT_EXCEEDED" Data "A recursive query has more than 1,000,000 rows.";
    ConstraintViolation "CHECK_CONSTRAINT_VIOLATED" Data "A row violates a constraint, an expectation or NOT NULL of the table.";
    MultipleSourceRowsMatch "MERGE_CARDINALITY_VIOLATION" Data "Several source rows of MERGE match one target row.";
    InvalidDeltaLog "INVALID_DELTA_LOG" Data "The transaction log of a table is damaged.";
    IncompatibleSchema "INCOMPATIBLE_SCHEMA" Data "The stored columns of a table are not the columns that the operation needs.";
    DataFileNotFound "DELTA_FILE_NOT_FOUND" Data "Data files that a version of a table needs are gone.";
    LoadedFilesDamaged "COPY_INTO_STATE_DAMAGED" Data "The list of files that COPY INTO has loaded is damaged or missing.";
    UnsupportedTableFeature "UNSUPPORTED_TABLE_FEATURE" Data "The table uses a Delta feature that pinsql cannot read or write.";
    AppendOnlyTable "CANNOT_MODIFY_APPEND_ONLY_TABLE" Data "The table is append-only.";
    InvalidDefinition "INVALID_DEFINITION" Data "A stored definition of a view, a function or a sink is damaged.";
    CheckpointDamaged "CHECKPOINT_DAMAGED" Data "The checkpoint of a stream is damaged or incomplete.";
    StreamDataLoss "STREAM_DATA_LOSS" Data "The source no longer has records that were not yet read.";
    SourceChanged "SOURCE_CHANGED" Data "The columns or rows of a database table changed while it was read.";
    StreamRecreated "STREAM_RECREATED" Data "The topic or stream was deleted and created again.";
    DeliveryRefused "DELIVERY_REFUSED" Data "A receiver refused records.";

    // Settings, credentials and limits.
    InvalidConfiguration "INVALID_CONFIGURATION" Config "A flag, an environment variable or pinsql.toml is not valid.";
    InvalidLocation "INVALID_LOCATION" Config "A path or URL is not a location that pinsql can use.";
    InvalidCredentials "INVALID_CREDENTIALS" Config "Credentials are missing, unreadable or refused.";
    PermissionDenied "PERMISSION_DENIED" Config "The service or the file system does not allow the operation.";
    ResourceNotFound "RESOURCE_NOT_FOUND" Config "A bucket, stream, topic, database or server address does not exist.";
    OutOfMemory "OUT_OF_MEMORY" Config "The memory limit is reached, and the operator cannot spill to disk.";
    UnsupportedStore "UNSUPPORTED_STORE" Config "The object store does not support conditional writes.";
    IncompatibleCheckpoint "INCOMPATIBLE_CHECKPOINT" Config "Another version of pinsql wrote this part of the checkpoint.";
    WriterConflict "CONCURRENT_STREAM_WRITER" Config "Another process writes this table or sink.";
    InvalidCertificate "INVALID_CERTIFICATE" Config "A TLS certificate or key is missing, unreadable or refused.";
    AddressInUse "CANNOT_LISTEN" Config "The server cannot listen on the address.";

    // Services and disks.
    ServiceUnavailable "SERVICE_UNAVAILABLE" Service "A service failed or did not answer, and retries did not help.";
    StorageFailure "STORAGE_FAILURE" Service "A disk or an object store failed.";
    DiskFull "DISK_FULL" Service "The disk is full.";
    ConcurrentWrite "DELTA_CONCURRENT_WRITE" Service "Other writers committed first, and retries did not help.";
    SystemFailure "SYSTEM_FAILURE" Service "The operating system refused a thread, a signal handler or the terminal.";
    OutputFailure "OUTPUT_FAILURE" Service "The output cannot be written.";

    // The end.
    Interrupted "INTERRUPTED" Interrupted "A signal stopped the run.";
    Internal "INTERNAL_ERROR" Internal "A fault of pinsql.";
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::ErrorCode;

    #[test]
    fn names_are_unique_and_in_capitals() {
        let names: BTreeSet<_> = ErrorCode::ALL.iter().map(|code| code.name()).collect();
        assert_eq!(names.len(), ErrorCode::ALL.len());
        assert!(
            names.iter().all(|name| name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')),
            "{names:?}"
        );
    }

    /// The rows of the tables in `docs/errors.md`: name, exit code, meaning.
    fn rows_of_the_page(page: &str) -> Vec<(&str, u8, &str)> {
        page.lines()
            .filter(|line| line.starts_with("| `"))
            .map(|line| {
                let cells: Vec<&str> = line.split('|').map(str::trim).collect();
                assert_eq!(cells.len(), 6, "{line}");
                (cells[1].trim_matches('`'), cells[2].parse().unwrap(), cells[3])
            })
            .collect()
    }

    #[test]
    fn the_page_for_users_has_every_code() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors.md");
        let page = std::fs::read_to_string(path).unwrap();
        let table: Vec<_> =
            ErrorCode::ALL.iter().map(|code| (code.name(), code.kind().exit_code(), code.meaning())).collect();
        assert_eq!(rows_of_the_page(&page), table);
    }
}
