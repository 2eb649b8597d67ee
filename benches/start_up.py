"""Measures the time from the start of pinsql to its first answer, and to the prompt of the shell.

    cargo build --release --bin pinsql
    python3 benches/start_up.py target/release/pinsql [RUNS]

Prints the minimum and the median of RUNS runs (default: 20) in milliseconds. Needs only Python.
"""

import os
import pty
import select
import statistics
import subprocess
import sys
import tempfile
import time

LIMIT_S = 30


def one_statement(program, folder):
    start = time.monotonic()
    subprocess.run([program, "-c", "SELECT 1"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - start


def prompt(program, folder):
    start = time.monotonic()
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        os.environ.update(HOME=folder, TERM="xterm-256color")
        os.execv(program, [program])
    seen = b""
    answered = 0
    while b"\x1b[0m> " not in seen and b"pinsql> " not in seen and b"> " not in seen.split(b"pinsql")[-1]:
        ready, _, _ = select.select([terminal], [], [], LIMIT_S)
        if not ready or time.monotonic() - start > LIMIT_S:
            raise SystemExit(f"no prompt: {seen!r}")
        seen += os.read(terminal, 4096)
        # The editor requests the position of the cursor.
        while seen.count(b"\x1b[6n") > answered:
            answered += 1
            os.write(terminal, b"\x1b[2;1R")
    elapsed = time.monotonic() - start
    os.write(terminal, b"\x04")
    os.waitpid(child, 0)
    os.close(terminal)
    return elapsed


def main():
    program = os.path.abspath(sys.argv[1])
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 20
    with tempfile.TemporaryDirectory() as folder:
        for name, measure in [("pinsql -c 'SELECT 1'", one_statement), ("to the prompt", prompt)]:
            times_ms = sorted(measure(program, folder) * 1000 for _ in range(runs))
            print(f"{name:24} least {times_ms[0]:6.1f} ms   median {statistics.median(times_ms):6.1f} ms")


main()
