//! The records are the same wherever the chunks end.

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::{Record, RecordError, RecordSplitter};

/// The records of the chunks, each with its line and offset, or `!` and the error.
fn split(mut splitter: RecordSplitter, chunks: impl IntoIterator<Item = Bytes>) -> Vec<(u64, u64, String)> {
    let mut found = Vec::new();
    let mut note = |splitter: &RecordSplitter, record: Result<Record, RecordError>| {
        let (line, offset) = splitter.position();
        let text = match record {
            Ok(record) => {
                assert_eq!((record.line, record.offset), (line, offset));
                String::from_utf8_lossy(&record.bytes).into_owned()
            }
            Err(error) => format!("!{error}"),
        };
        found.push((line, offset, text));
    };
    for chunk in chunks {
        splitter.push(chunk);
        while let Some(record) = splitter.next() {
            note(&splitter, record);
        }
    }
    while let Some(record) = splitter.finish() {
        note(&splitter, record);
    }
    assert!(splitter.finish().is_none());
    found
}

#[track_caller]
fn check(new: fn() -> RecordSplitter, input: &str, expected: &[(u64, u64, &str)]) {
    let expected: Vec<_> = expected.iter().map(|(line, offset, text)| (*line, *offset, text.to_string())).collect();
    let input = Bytes::copy_from_slice(input.as_bytes());
    assert_eq!(split(new(), [input.clone()]), expected, "{input:?}");
    for size in 1..=input.len() {
        let chunks = input.chunks(size).map(Bytes::copy_from_slice);
        assert_eq!(split(new(), chunks), expected, "{input:?} in chunks of {size}");
    }
}

#[test]
fn lines() {
    let check = |input, expected: &[_]| check(RecordSplitter::lines, input, expected);
    check("", &[]);
    check("{}", &[(1, 0, "{}")]);
    check("{}\n", &[(1, 0, "{}")]);
    check("a\nb\r\nc", &[(1, 0, "a"), (2, 2, "b"), (3, 5, "c")]);
    check("\n \t\r\na\n\n\r\nb\r\n\n", &[(3, 5, "a"), (6, 10, "b")]);
    check("\u{feff}a\n\u{feff}b", &[(1, 3, "a"), (2, 5, "\u{feff}b")]);
    check("\u{feff}", &[]);
    check("é\n", &[(1, 0, "é")]);
    check(" a \r\r\n", &[(1, 0, " a \r")]);
    check("a\rb\n", &[(1, 0, "a\rb")]);
    check("a\n \r", &[(1, 0, "a")]);
}

#[test]
fn documents() {
    let check = |input, expected: &[_]| check(RecordSplitter::documents, input, expected);
    check("", &[]);
    check(" \n\r\n", &[]);
    check("[]", &[]);
    check(" [ ] \n[]{}", &[(2, 8, "{}")]);
    check("\u{feff}{\n  \"a\": 1\n}\n", &[(1, 3, "{\n  \"a\": 1\n}")]);
    check("{\"a\":\"}\\\"{\"}{\"b\":[{}]} {}", &[(1, 0, r#"{"a":"}\"{"}"#), (1, 12, r#"{"b":[{}]}"#), (1, 23, "{}")]);
    check("[{\"a\":[1,2]},\n {\"b\":\",]\"} , 3]", &[(1, 1, r#"{"a":[1,2]}"#), (2, 15, r#"{"b":",]"}"#), (2, 28, "3")]);
    check("[[1],[2]]\n[{}]", &[(1, 1, "[1]"), (1, 5, "[2]"), (2, 11, "{}")]);
    // A broken record does not affect its neighbours.
    check("[{\"a\": }, {\"b\":1}]", &[(1, 1, "{\"a\": }"), (1, 10, "{\"b\":1}")]);
    check("[{\"a\":1} {\"b\":1}, {}]", &[(1, 1, "{\"a\":1} {\"b\":1}"), (1, 18, "{}")]);
    check("[{}}, {}]", &[(1, 1, "{}}"), (1, 6, "{}")]);
    check("[1,,2,]", &[(1, 1, "1"), (1, 3, ""), (1, 4, "2"), (1, 6, "")]);
    check("[,{}]", &[(1, 1, ""), (1, 2, "{}")]);
    check("[{\"a\":\"x\n}, {\"b\":\"y\"}]", &[(1, 1, "{\"a\":\"x\n}"), (2, 12, "{\"b\":\"y\"}")]);
    check("oh no {}\n{}\n7", &[(1, 0, "oh no {}"), (2, 9, "{}"), (3, 12, "7")]);
    check("{}]\n{}", &[(1, 0, "{}"), (1, 2, "]"), (2, 4, "{}")]);
    // A truncated record is reported once.
    let unclosed = "!the JSON ends where a comma or ] should follow (truncated?)";
    check("[", &[(1, 1, unclosed)]);
    check("[{}", &[(1, 1, "{}"), (1, 3, unclosed)]);
    check("[{},\n", &[(1, 1, "{}"), (2, 5, unclosed)]);
    check("[{}, {\"a\":1", &[(1, 1, "{}"), (1, 5, "{\"a\":1")]);
    check("[{}, {\"a\":\"x", &[(1, 1, "{}"), (1, 5, "{\"a\":\"x")]);
    check("{\"a\":", &[(1, 0, "{\"a\":")]);
}

#[test]
fn the_ends_of_chunks_do_not_matter() {
    let mut random = StdRng::seed_from_u64(7);
    let pieces = [
        "{\"a\":\"é\\\"\\\\\"}",
        "{\"b\":[1,{\"c\":\"]\"}]}",
        "\n",
        "\r\n",
        " ",
        ",",
        "[",
        "]",
        "\"",
        "\\",
        "x",
        "\u{feff}",
        "null",
    ];
    for _ in 0..3000 {
        let count = random.random_range(0..20);
        let input: String = (0..count).map(|_| pieces[random.random_range(0..pieces.len())]).collect();
        let input = Bytes::from(input);
        for new in [RecordSplitter::lines, RecordSplitter::documents] {
            let mut rest = input.clone();
            let mut chunks = Vec::new();
            while !rest.is_empty() {
                chunks.push(rest.split_to(random.random_range(0..=rest.len().min(9))));
            }
            assert_eq!(split(new(), chunks), split(new(), [input.clone()]), "{input:?}");
        }
    }
}

#[test]
fn a_part_counts_from_where_it_starts() {
    let splitter = RecordSplitter::lines().starting_at(8, 100);
    let found = split(splitter, [Bytes::from("\u{feff}a\nb")]);
    assert_eq!(found, [(8, 100, "\u{feff}a".to_owned()), (9, 105, "b".to_owned())]);
}

#[test]
fn records_are_slices_of_their_chunk() {
    let chunk = Bytes::from("{\"a\":1}\n{\"a\":2}\n");
    let mut splitter = RecordSplitter::lines();
    splitter.push(chunk.clone());
    let record = splitter.next().unwrap().unwrap();
    assert_eq!(record.bytes.as_ptr(), chunk.as_ptr());
}

#[test]
fn a_line_of_64_megabytes_is_assembled_in_one_pass() {
    let chunk = Bytes::from(vec![b'x'; 1 << 20]);
    let chunks = std::iter::repeat_n(chunk, 64).chain([Bytes::from("\ny")]);
    let found = split(RecordSplitter::lines(), chunks);
    assert_eq!((found.len(), found[0].2.len(), found[1].2.as_str()), (2, 64 << 20, "y"));
}

#[test]
fn an_endless_record_is_dropped_and_the_next_one_read() {
    let chunk = Bytes::from(vec![b'x'; 1 << 20]);
    let chunks = || std::iter::repeat_n(chunk.clone(), 257).chain([Bytes::from("\n{}")]);
    let error = "!the record has 269484032 bytes; at most 268435456 are read".to_owned();
    let expected = [(1, 0, error), (2, 269_484_033, "{}".to_owned())];
    assert_eq!(split(RecordSplitter::lines(), chunks()), expected);
    assert_eq!(split(RecordSplitter::documents(), chunks()), expected);
}
