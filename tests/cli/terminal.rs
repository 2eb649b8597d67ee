//! A terminal for tests that type and read the screen: a pty, and an emulator that keeps its screen.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use crate::scratch::Scratch;

/// The time limit for an expected screen. It is long, because a machine that runs other builds is slow.
const DEADLINE: Duration = Duration::from_secs(120);
/// The number of lines above the screen that the emulator keeps.
const SCROLLBACK_ROWS: usize = 500;

pub(crate) struct Terminal {
    /// None after the terminal is closed.
    line: Option<Line>,
    child: Box<dyn Child + Send + Sync>,
    seen: Arc<Mutex<Seen>>,
}

/// The parts that keep the pty open on this side.
struct Line {
    master: Box<dyn MasterPty + Send>,
    writer: Arc<Mutex<Box<dyn Write + Send>>>,
    emulator: JoinHandle<()>,
    is_closing: Arc<AtomicBool>,
}

/// The output of the program as a screen and as bytes. Both change under one lock, so that they always agree.
struct Seen {
    screen: vt100::Parser,
    /// All bytes of the output, including those that a screen does not show.
    output: Vec<u8>,
}

impl Seen {
    fn feed(&mut self, bytes: &[u8]) {
        self.screen.process(bytes);
        self.output.extend_from_slice(bytes);
    }

    /// The screen without the blanks at the ends of lines.
    fn text(&self) -> String {
        let contents = self.screen.screen().contents();
        contents.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
    }

    /// The number of prompts. The editor draws a prompt many times, but turns bracketed paste on only once for each.
    fn prompts(&self) -> usize {
        String::from_utf8_lossy(&self.output).matches("\u{1b}[?2004h").count()
    }
}

impl Terminal {
    /// Starts the shell in `scratch`, in a terminal of 100 columns and 30 rows, and waits for its prompt.
    pub(crate) fn start(scratch: &Scratch, arguments: &[&str]) -> Self {
        let terminal = Self::start_in(scratch, arguments, &[], (30, 100));
        terminal.wait_for("pinsql>");
        terminal
    }

    pub(crate) fn start_in(
        scratch: &Scratch,
        arguments: &[&str],
        variables: &[(&str, &str)],
        size: (u16, u16),
    ) -> Self {
        Self::of(env!("CARGO_BIN_EXE_pinsql"), scratch, arguments, variables, size)
    }

    /// Starts another program, such as bash or zsh.
    pub(crate) fn of(
        program: impl AsRef<OsStr>,
        scratch: &Scratch,
        arguments: &[&str],
        variables: &[(&str, &str)],
        size: (u16, u16),
    ) -> Self {
        let size = PtySize { rows: size.0, cols: size.1, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(program);
        command.args(arguments);
        command.cwd(scratch.path());
        command.env_clear();
        command.env("HOME", scratch.path());
        command.env("PATH", "/usr/bin:/bin");
        command.env("TERM", "xterm-256color");
        for (name, value) in variables {
            command.env(name, value);
        }
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let writer = Arc::new(Mutex::new(pair.master.take_writer().unwrap()));
        let screen = vt100::Parser::new(extent(size.rows), extent(size.cols), SCROLLBACK_ROWS);
        let seen = Arc::new(Mutex::new(Seen { screen, output: Vec::new() }));
        let reader = pair.master.try_clone_reader().unwrap();
        let is_closing = Arc::new(AtomicBool::new(false));
        let (answers, fed, ends) = (Arc::clone(&writer), Arc::clone(&seen), Arc::clone(&is_closing));
        let emulator = std::thread::spawn(move || emulate(reader, &answers, &fed, &ends));
        Self { line: Some(Line { master: pair.master, writer, emulator, is_closing }), child, seen }
    }

    fn connected(&self) -> &Line {
        self.line.as_ref().unwrap()
    }

    /// Types keys, without Enter.
    pub(crate) fn press(&self, keys: &str) {
        let mut writer = self.connected().writer.lock().unwrap();
        writer.write_all(keys.as_bytes()).unwrap();
        writer.flush().unwrap();
    }

    /// Types a line and Enter.
    pub(crate) fn line(&self, text: &str) {
        self.press(&format!("{text}\r"));
    }

    /// The text on the screen.
    pub(crate) fn screen(&self) -> String {
        self.seen.lock().unwrap().text()
    }

    /// All output since the start, with escape sequences.
    pub(crate) fn output(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap().output).into_owned()
    }

    /// Waits until the screen shows `text`, and returns the screen.
    pub(crate) fn wait_for(&self, text: &str) -> String {
        self.wait_until(&format!("`{text}`"), |screen| screen.contains(text))
    }

    pub(crate) fn wait_until(&self, what: &str, is_there: impl Fn(&str) -> bool) -> String {
        self.wait(what, |_, screen| is_there(screen))
    }

    fn wait(&self, what: &str, is_there: impl Fn(&Seen, &str) -> bool) -> String {
        let start = Instant::now();
        loop {
            let screen = {
                let seen = self.seen.lock().unwrap();
                let screen = seen.text();
                if is_there(&seen, &screen) {
                    return screen;
                }
                screen
            };
            assert!(start.elapsed() < DEADLINE, "no {what} on the screen:\n{screen}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Types a line, waits for the next prompt, and returns the screen.
    pub(crate) fn run(&self, text: &str) -> String {
        let prompts = self.prompts();
        self.line(text);
        self.wait_for_prompts(prompts + 1)
    }

    /// The number of prompts since the start.
    pub(crate) fn prompts(&self) -> usize {
        self.seen.lock().unwrap().prompts()
    }

    pub(crate) fn wait_for_prompts(&self, count: usize) -> String {
        self.wait("new prompt", |seen, screen| {
            let last = screen.lines().rfind(|line| !line.is_empty()).unwrap_or_default();
            seen.prompts() >= count && last.ends_with('>')
        })
    }

    pub(crate) fn resize(&self, rows: u16, columns: u16) {
        self.seen.lock().unwrap().screen.screen_mut().set_size(extent(rows), extent(columns));
        self.connected().master.resize(PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 }).unwrap();
    }

    /// Closes the terminal, like a closed window or a lost connection.
    pub(crate) fn hang_up(&mut self) {
        let size = self.connected().master.get_size().unwrap();
        self.connected().is_closing.store(true, Ordering::Relaxed);
        // The emulator thread waits for output. A resize makes the program print, and then the thread sees
        // `is_closing`.
        self.resize(size.rows, size.cols - 1);
        self.line.take().unwrap().emulator.join().unwrap();
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.child.process_id().unwrap()
    }

    /// Waits until the program ends, and returns its exit code.
    pub(crate) fn wait_for_end(&mut self) -> u32 {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.exit_code();
            }
            assert!(start.elapsed() < DEADLINE, "the shell has not ended:\n{}", self.screen());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // The program may have ended already. Then both calls fail, which does not matter.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn extent(cells: u16) -> NonZero<u16> {
    NonZero::new(cells).unwrap()
}

/// Feeds the output of the program to the emulator, and answers requests for the position of the cursor.
fn emulate(
    mut reader: Box<dyn Read + Send>,
    answers: &Mutex<Box<dyn Write + Send>>,
    seen: &Mutex<Seen>,
    is_closing: &AtomicBool,
) {
    const CURSOR_QUERY: &[u8] = b"\x1b[6n";
    let mut buffer = [0; 4096];
    let mut pending: Vec<u8> = Vec::new();
    while let Ok(count) = reader.read(&mut buffer) {
        if count == 0 || is_closing.load(Ordering::Relaxed) {
            return;
        }
        pending.extend_from_slice(&buffer[..count]);
        while let Some(at) = pending.windows(CURSOR_QUERY.len()).position(|bytes| bytes == CURSOR_QUERY) {
            let rest = pending.split_off(at + CURSOR_QUERY.len());
            let (row, column) = {
                let mut seen = seen.lock().unwrap();
                seen.feed(&pending);
                seen.screen.screen().cursor_position()
            };
            pending = rest;
            let answer = format!("\x1b[{};{}R", row + 1, column + 1);
            if answers.lock().unwrap().write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
        // The buffer may end in the middle of a request. Keep that part for the next read.
        let kept =
            (1..CURSOR_QUERY.len()).rev().find(|length| pending.ends_with(&CURSOR_QUERY[..*length])).unwrap_or(0);
        let rest = pending.split_off(pending.len() - kept);
        seen.lock().unwrap().feed(&pending);
        pending = rest;
    }
}
