//! The interactive shell, driven through a real terminal.

use insta::assert_snapshot;

use crate::scratch::Scratch;
use crate::terminal::Terminal;

const UP: &str = "\u{1b}[A";
const TAB: &str = "\t";
const CTRL_A: &str = "\u{1}";
const CTRL_C: &str = "\u{3}";
const CTRL_D: &str = "\u{4}";
const CTRL_R: &str = "\u{12}";

/// A query that would run far longer than any test.
const ENDLESS: &str = "SELECT max(a.n + b.n) FROM range(100000) AS a (n) CROSS JOIN range(100000000) AS b (n);";

fn scratch() -> Scratch {
    let scratch = Scratch::new();
    scratch.file("raw/pins.json", "{\"ind\": 1, \"title\": \"First\"}\n{\"ind\": 2, \"title\": null}\n");
    scratch
}

fn with_table(scratch: &Scratch) -> Terminal {
    let terminal = Terminal::start(scratch, &[]);
    terminal.run("CREATE TABLE pins AS SELECT * FROM read_files('raw/*.json');");
    terminal
}

/// The screen from the last line that contains `from`. Without blank lines, because a resize can leave one.
fn since(screen: &str, from: &str) -> String {
    let lines: Vec<&str> = screen.lines().filter(|line| !line.is_empty()).collect();
    let start = lines.iter().rposition(|line| line.contains(from)).unwrap_or(0);
    lines[start..].join("\n")
}

#[test]
fn a_statement_can_have_several_lines() {
    let terminal = Terminal::start(&Scratch::new(), &[]);
    terminal.line("SELECT 1 AS one, -- not yet;");
    terminal.wait_for("   ...>");
    terminal.line("");
    let screen = terminal.run("'a;b' AS text, NULL AS nothing;");
    assert_snapshot!("repl_statement", since(&screen, "SELECT 1 AS one"));
}

#[test]
fn the_editor_completes_what_fits_the_place() {
    let scratch = scratch();
    let terminal = with_table(&scratch);
    for (typed, completed) in [
        ("EXPL", "EXPLAIN "),
        ("SELECT * FROM pi", "SELECT * FROM pins"),
        ("SELECT 1 FROM pins WHE", "SELECT 1 FROM pins WHERE "),
        ("SELECT 1 FROM pins AS p WHERE p.ti", "WHERE p.title"),
        ("SELECT parse_cou", "SELECT parse_count("),
        ("SELECT * FROM read_files('raw', schemaH", "schemaHints => "),
        ("SELECT * FROM read_files('ra", "read_files('raw/"),
        ("SELECT * FROM read_files('raw/p", "read_files('raw/pins.json"),
        (".mem", ".memory"),
        (".mode ndj", ".mode ndjson"),
    ] {
        terminal.press(typed);
        terminal.wait_for(typed);
        terminal.press(TAB);
        terminal.wait_until(completed, |screen| screen.trim_end().ends_with(completed.trim_end()));
        let prompts = terminal.prompts();
        terminal.press(CTRL_C);
        terminal.wait_for_prompts(prompts + 1);
    }
    terminal.press("SELECT * FROM read_");
    terminal.press(TAB);
    terminal.wait_for("read_kinesis");
    terminal.wait_for("table function");
}

#[test]
fn a_long_query_is_cancelled_and_the_shell_stays() {
    let terminal = Terminal::start(&Scratch::new(), &[]);
    terminal.line(ENDLESS);
    // The progress line shows that the query runs.
    terminal.wait_for(" of memory, ");
    let prompts = terminal.prompts();
    terminal.press(CTRL_C);
    // The query itself would run for much longer than the deadline of the test.
    let screen = terminal.wait_for_prompts(prompts + 1);
    assert!(screen.contains("error[INTERRUPTED]: interrupted"), "{screen}");
    assert!(terminal.run("SELECT 41 + 1 AS answer;").contains("│     42 │"), "{}", terminal.screen());
}

#[test]
fn history_lasts_and_can_be_searched() {
    let scratch = Scratch::new();
    let mut terminal = Terminal::start(&scratch, &[]);
    terminal.run("SELECT 'first' AS a;");
    terminal.run("SELECT 'second' AS b;");
    terminal.run("SELECT 'hidden' AS password;");
    terminal.press(CTRL_D);
    assert_eq!(terminal.wait_for_end(), 0);

    let terminal = Terminal::start(&scratch, &[]);
    terminal.press(UP);
    terminal.wait_for("pinsql> SELECT 'second' AS b;");
    terminal.press(UP);
    terminal.wait_for("pinsql> SELECT 'first' AS a;");
    let prompts = terminal.prompts();
    terminal.press(CTRL_C);
    terminal.wait_for_prompts(prompts + 1);
    terminal.press(CTRL_R);
    terminal.press("sec");
    terminal.wait_for("(search: sec) SELECT 'second' AS b;");
    let prompts = terminal.prompts();
    terminal.press("\r");
    terminal.wait_for("SELECT 'second' AS b;");
    terminal.press("\r");
    terminal.wait_for_prompts(prompts + 1);
    let screen = terminal.run(".history first");
    assert!(screen.contains("pinsql> .history first\nSELECT 'first' AS a;\n"), "{screen}");
    let kept = std::fs::read_to_string(scratch.path().join(".local/state/pinsql/history")).unwrap();
    assert!(kept.contains("SELECT 'second'") && !kept.contains("hidden"), "{kept}");
}

#[test]
fn results_fit_the_terminal() {
    let terminal = Terminal::start(&Scratch::new(), &[]);
    let columns: Vec<String> = (1..=20).map(|n| format!("'a value of column {n}' AS column_{n}")).collect();
    let wide = format!("SELECT {};", columns.join(", "));
    let screen = terminal.run(&wide);
    assert_snapshot!("repl_wide", since(&screen, "┌"));
    terminal.resize(30, 60);
    let screen = terminal.run(&wide);
    assert_snapshot!("repl_wide_after_resize", since(&screen, "┌"));
    terminal.resize(30, 12);
    let screen = terminal.run("SELECT 'a long text' AS text;");
    assert_snapshot!("repl_narrow", since(&screen, "┌"));
}

#[test]
fn a_long_result_is_shown_from_both_ends() {
    let terminal = Terminal::start(&Scratch::new(), &[]);
    terminal.run(".rows 6");
    let screen = terminal.run("SELECT n FROM range(100000) AS t (n) ORDER BY n;");
    assert_snapshot!("repl_long", since(&screen, "┌"));
}

#[test]
fn null_is_not_the_text_and_wide_characters_are_aligned() {
    let terminal = Terminal::start(&Scratch::new(), &[]);
    let screen = terminal.run("SELECT * FROM (VALUES (NULL, '東京'), ('NULL', '😀 é')) AS t (a, b);");
    assert_snapshot!("repl_null", since(&screen, "┌"));
    assert!(terminal.output().contains("\u{1b}[2mNULL\u{1b}[0m"), "NULL is dim");
    let screen = terminal.run("SELECT '東京😀' AS city;");
    assert!(screen.contains("pinsql> SELECT '東京😀' AS city;"), "{screen}");
}

#[test]
fn errors_have_the_place_and_the_hint() {
    let scratch = scratch();
    let terminal = with_table(&scratch);
    let screen = terminal.run("SELECT titel FROM pins;");
    assert_snapshot!("repl_error", since(&screen, "SELECT titel FROM pins;"));
    let screen = terminal.run(".tabels");
    assert_snapshot!("repl_error_command", since(&screen, ".tabels"));
}

#[test]
fn each_command_does_what_its_help_describes() {
    let scratch = scratch();
    let terminal = Terminal::start_in(&scratch, &["--param", "day=monday"], &[], (60, 110));
    terminal.wait_for("pinsql>");
    let check = |name: &str, lines: &[&str]| {
        let mut screen = String::new();
        for line in lines {
            screen = terminal.run(line);
        }
        let typed = format!("pinsql> {}", lines[0]);
        let all: Vec<&str> = screen.lines().collect();
        let start = all.iter().rposition(|line| *line == typed);
        let start = start.unwrap_or_else(|| panic!("no line `{typed}`:\n{screen}"));
        assert_snapshot!(format!("repl_{name}"), all[start..].join("\n"));
    };
    check("help", &[".help"]);
    check("help_of_one", &["\\? mode"]);
    terminal.run("CREATE TABLE pins AS SELECT * FROM read_files('raw/*.json');");
    check("tables", &[".tables", "\\dt p*"]);
    check("schema", &[".schema pins", ".schema", "\\d pins"]);
    check("schemas", &["CREATE SCHEMA silver;", "\\dn", ".use silver", ".use default"]);
    check("functions", &[".functions parse_c*"]);
    check(
        "params",
        &[".params set n 5", ".params", "SELECT :n + 1 AS n, :day AS day;", ".params unset n", ".params unset n"],
    );
    check(
        "modes",
        &[
            ".mode csv",
            "SELECT * FROM pins;",
            ".mode ndjson",
            "SELECT * FROM pins;",
            "\\x",
            "SELECT * FROM pins;",
            ".mode",
            ".mode table",
        ],
    );
    check("mode_unknown", &[".mode xml"]);
    check("last", &["SELECT ind FROM pins;", ".last markdown", ".once copy.csv", ".last csv"]);
    assert_eq!(std::fs::read_to_string(scratch.path().join("copy.csv")).unwrap(), "ind\n1\n2\n");
    check("output", &[".output out.txt", "SELECT 1 AS one;", ".output", ".once one.json", "SELECT 2 AS two;"]);
    assert!(std::fs::read_to_string(scratch.path().join("out.txt")).unwrap().contains("|   1 |"));
    check("rows", &[".rows", ".rows 2", ".rows none", ".rows all"]);
    scratch.file("two.sql", "SELECT 1 AS one;\nSELECT 2 AS two;\n");
    check("read", &[".read two.sql", ".read none.sql"]);
    check("chart", &["SELECT * FROM (VALUES ('a', 4), ('b', 2)) AS t (title, ind);", ".chart bar", ".chart pie"]);
    check("pager", &[".pager 'cat -n'", "SELECT 1 AS one;", ".pager off"]);
    check("timer", &[".timer", ".timer off", ".timer maybe"]);
    let screen = terminal.run(".explain SELECT 1 + 1 AS two");
    assert!(since(&screen, ".explain").to_lowercase().contains("== physical plan =="), "{screen}");
    let screen = terminal.run(".memory");
    assert!(since(&screen, ".memory").contains("statements may use"), "{screen}");
}

#[test]
fn a_pasted_statement_runs_when_it_is_complete() {
    let terminal = Terminal::start(&Scratch::new(), &[]);
    terminal.press("\u{1b}[200~SELECT 1 AS one;\nSELECT 2\n  AS two;\n.mode\n\u{1b}[201~");
    terminal.wait_for("AS two;");
    let screen = terminal.run("");
    assert!(screen.contains("│ one │") && screen.contains("│ two │") && screen.contains("\ntable\n"), "{screen}");
}

#[test]
fn ctrl_c_clears_the_line_and_the_session_continues() {
    let terminal = Terminal::start(&Scratch::new(), &[]);
    terminal.press("SELECT 'not this");
    terminal.wait_for("not this");
    let prompts = terminal.prompts();
    terminal.press(CTRL_C);
    terminal.wait_for_prompts(prompts + 1);
    terminal.run("CREATE TEMPORARY VIEW v AS SELECT 7 AS seven;");
    terminal.press(" seven FROM v;");
    terminal.press(CTRL_A);
    let screen = terminal.run("SELECT");
    assert!(screen.contains("│     7 │"), "{screen}");
}

#[test]
fn no_color_turns_colors_off() {
    let scratch = Scratch::new();
    let terminal = Terminal::start_in(&scratch, &[], &[("NO_COLOR", "1")], (30, 100));
    terminal.wait_for("pinsql>");
    terminal.run("SELECT NULL AS nothing, 'a' AS text;");
    terminal.run("SELECT x;");
    let output = terminal.output();
    for color in ["\u{1b}[2m", "\u{1b}[1m", "\u{1b}[3", "\u{1b}[9", "\u{1b}[38"] {
        assert!(!output.contains(color), "{color:?} in {output:?}");
    }
}

#[test]
fn a_signal_ends_the_shell_cleanly() {
    let scratch = Scratch::new();
    for line in [None, Some(ENDLESS)] {
        let mut terminal = Terminal::start(&scratch, &[]);
        if let Some(line) = line {
            terminal.line(line);
            terminal.wait_for(" of memory, ");
        }
        let id = terminal.process_id().to_string();
        assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        assert_eq!(terminal.wait_for_end(), 0);
    }
}

#[test]
fn a_closed_terminal_ends_the_shell() {
    for line in [None, Some(ENDLESS)] {
        let mut terminal = Terminal::start(&Scratch::new(), &[]);
        if let Some(line) = line {
            terminal.line(line);
            terminal.wait_for(" of memory, ");
        }
        terminal.hang_up();
        assert_eq!(terminal.wait_for_end(), 0);
    }
}

#[test]
fn settings_of_the_shell_come_from_the_file() {
    let scratch = Scratch::new();
    scratch.file("pinsql.toml", "[shell]\nmode = 'csv'\ntimer = true\nhistory_file = 'my_history'\n");
    let mut terminal = Terminal::start(&scratch, &[]);
    let screen = terminal.run("SELECT 1 AS one;");
    assert!(screen.contains("one\n1\n") && screen.contains(" ms"), "{screen}");
    terminal.line(".quit");
    assert_eq!(terminal.wait_for_end(), 0);
    assert!(scratch.path().join("my_history").exists());
}

#[test]
fn without_a_terminal_there_is_no_shell() {
    assert_snapshot!("repl_without_terminal", Scratch::new().run(&["repl"]));
}

#[test]
fn a_query_beyond_the_memory_limit_is_an_error() {
    let terminal = Terminal::start(&Scratch::new(), &["--memory", "8MB"]);
    let screen =
        terminal.run("SELECT count(*) FROM range(4000000) AS a (n) JOIN range(4000000) AS b (n) ON a.n = b.n;");
    assert!(screen.contains("error[OUT_OF_MEMORY]:") && screen.contains("memory"), "{screen}");
    assert!(terminal.run("SELECT 1 AS one;").contains("│   1 │"), "{}", terminal.screen());
}
