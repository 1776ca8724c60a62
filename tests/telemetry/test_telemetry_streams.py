"""Logs come through pipes, from places that are not there yet, and go to readers that leave."""

import gzip
import os
import signal
import subprocess
import sys
import threading

import orjson
import pytest

from townlet_cli import telemetry_session as commands
from townlet_core.errors import InputError
from townlet_core.telemetry import reader
from townlet_core.telemetry.reader import read_lines
from townlet_core.telemetry.writer import TelemetryWriter

PROGRAM = (
    # A test run in the background may have SIGINT ignored, and children inherit that.
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from townlet_cli.main import run; run()"
)


@pytest.fixture
def log(tmp_path, make_record):
    path = tmp_path / "telemetry.jsonl"
    with TelemetryWriter(path) as writer:
        for epoch in (1, 2, 3):
            writer.write(make_record(epoch))
    return path


@pytest.fixture
def start():
    """Start a command in a process of its own, which ends with the test."""
    started = []

    def call(*arguments, **streams):
        command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
        started.append(subprocess.Popen(command, text=True, bufsize=1, **pipes))
        return started[-1]

    yield call
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def pipe():
    """Return the name of a pipe's reading end, and a function that writes into the other and closes it."""
    reading, writing = os.pipe()

    def feed(data, end=True):
        os.write(writing, data)
        if end:
            os.close(writing)

    yield f"/dev/fd/{reading}", feed
    os.close(reading)


def epochs(text):
    return [int(line.split()[1]) for line in text.splitlines()]


@pytest.mark.parametrize("name", ["-", "/dev/stdin", "/dev/fd/0"])
def test_a_log_is_followed_through_stdin_as_it_comes_and_until_its_end(start, log, name):
    first, *rest = log.read_text().splitlines(keepends=True)
    watching = start("telemetry", "watch", "--follow", name)
    watching.stdin.write(first)
    assert epochs(watching.stdout.readline()) == [1]  # while the pipe is open
    told, said = watching.communicate("".join(rest))
    assert (epochs(told), watching.returncode, said) == ([2, 3], 0, "")


@pytest.mark.parametrize("command", ["watch", "summary", "validate"])
def test_every_command_reads_stdin(spawn_with, log, command):
    ended = spawn_with(log.read_bytes(), "telemetry", command, "-")
    assert ended.returncode == 0
    assert b"3 records" in ended.stdout or ended.stdout.count(b"epoch") == 3


@pytest.fixture
def spawn_with():
    def call(data, *arguments):
        return subprocess.run([sys.executable, "-c", PROGRAM, *arguments], input=data, capture_output=True)

    return call


def test_a_pipe_that_ends_in_half_a_line_says_so(pipe):
    name, feed = pipe
    feed(b'{"epoch": 1}\n{"epo')
    assert [(line.text, line.whole) for line in read_lines(name)] == [
        (b'{"epoch": 1}', True),
        (b'{"epo', False),
    ]


def test_a_quiet_pipe_is_waited_for_and_then_read(pipe):
    name, feed = pipe
    waits = iter([lambda: None, lambda: feed(b"1\n", end=False), lambda: feed(b"2\n")])

    def wait():
        next(waits)()
        return True

    assert [line.text for line in read_lines(name, wait)] == [b"1", b"2"]


def test_a_named_pipe_is_read_until_its_writer_ends(townlet, log, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    writer = threading.Thread(target=lambda: fifo.write_bytes(log.read_bytes()))
    writer.start()
    code, stdout, stderr = townlet("telemetry", "watch", fifo)
    writer.join()
    assert (code, epochs(stdout)) == (0, [1, 2, 3])
    assert f"waiting for a writer of {fifo}" in stderr


def test_ctrl_c_ends_the_wait_for_a_writer_of_a_pipe(start, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for command in ("watch", "summary", "validate"):
        waiting = start("telemetry", command, tmp_path / "fifo")
        assert "waiting for a writer" in waiting.stderr.readline()
        waiting.send_signal(signal.SIGINT)
        assert waiting.communicate()[1].endswith("error: interrupted\n")
        assert waiting.returncode == 130


@pytest.mark.parametrize("command", ["watch", "summary", "validate"])
def test_a_device_is_no_log(townlet, command):
    code, stdout, stderr = townlet("telemetry", command, "/dev/zero")
    assert (code, stdout) == (2, "")
    assert "/dev/zero: is a device, expected a log" in stderr


def test_a_stream_that_is_not_open_is_missing(townlet):
    code, _, stderr = townlet("telemetry", "watch", "/dev/fd/999")
    assert code == 3
    assert "/dev/fd/999: nothing is open there" in stderr


def test_a_pipe_without_a_line_end_is_given_up(pipe, monkeypatch):
    monkeypatch.setattr(reader, "MAX_UNBROKEN_BYTES", 1000)
    name, feed = pipe
    feed(b"1\n" + b"x" * 1001, end=False)
    with pytest.raises(InputError, match="no line end in 1,000 bytes"):
        list(read_lines(name, lambda: pytest.fail("nothing to wait for")))


def test_a_pipe_among_the_segments_is_not_waited_for(log, tmp_path):
    os.mkfifo(tmp_path / "telemetry.jsonl.1")
    with pytest.raises(InputError, match=r"telemetry\.jsonl\.1: is a pipe or a device"):
        list(read_lines(log))
    with pytest.raises(InputError, match=r"telemetry\.jsonl\.1: is a pipe or a device"):
        TelemetryWriter(log).truncate_to(0)


def test_following_waits_for_a_log_and_says_for_which(townlet, log, tmp_path, monkeypatch):
    """First nothing, then a folder, then a run in it, then its log."""
    run, data = tmp_path / "runs" / "a", log.read_bytes()
    steps = [
        lambda: run.mkdir(parents=True),
        lambda: (run / "config.yaml").write_text("training:\n  ppo_log: ppo.jsonl\n"),
        lambda: (run / "ppo.jsonl").write_bytes(data),
    ]

    def take_a_step(*_):
        if not steps:
            raise KeyboardInterrupt
        steps.pop(0)()
        return True

    monkeypatch.setattr(commands, "wait_for_more", take_a_step)
    code, stdout, stderr = townlet("telemetry", "watch", "--follow", run)
    assert (code, epochs(stdout)) == (130, [1, 2, 3])
    assert stderr == f"waiting for {run}\nwaiting for {run}/ppo.jsonl\nerror: interrupted\n"


@pytest.mark.parametrize("command", ["watch", "summary", "validate"])
def test_a_run_folder_stands_for_its_log(townlet, log, command):
    code, stdout, _ = townlet("telemetry", command, log.parent)
    assert code == 0
    assert "3 records" in stdout or epochs(stdout) == [1, 2, 3]


@pytest.mark.parametrize("command", ["watch", "summary", "validate"])
def test_a_folder_without_a_run_and_a_run_without_a_log_are_told_apart(townlet, tmp_path, command):
    code, _, stderr = townlet("telemetry", command, tmp_path)
    assert code == 2
    assert f"{tmp_path}: is a folder without a run" in stderr
    (tmp_path / "config.yaml").write_text("training: {}\n")
    code, _, stderr = townlet("telemetry", command, tmp_path)
    assert code == 3
    assert f"{tmp_path}/telemetry.jsonl: no such log" in stderr


@pytest.mark.parametrize("command", ["watch", "summary", "validate"])
def test_a_compressed_log_is_read(townlet, log, tmp_path, command):
    (tmp_path / "old.jsonl.gz").write_bytes(gzip.compress(log.read_bytes()))
    code, stdout, _ = townlet("telemetry", command, tmp_path / "old.jsonl.gz")
    assert code == 0
    assert "3 records" in stdout or epochs(stdout) == [1, 2, 3]


def test_following_a_quiet_log_ends_soon_after_its_reader_has_left(start, log):
    watching = start("telemetry", "watch", "--follow", log)
    assert epochs(watching.stdout.readline()) == [1]
    watching.stdout.close()  # as head does; nothing is appended any more
    assert watching.wait(timeout=60) == 141
    assert watching.stderr.read() == ""


def test_waiting_for_a_log_ends_soon_after_its_reader_has_left(start, tmp_path):
    waiting = start("telemetry", "watch", "--follow", tmp_path / "log")
    assert f"waiting for {tmp_path}/log" in waiting.stderr.readline()
    waiting.stdout.close()
    assert waiting.wait(timeout=60) == 141


def test_ctrl_c_ends_the_wait_for_a_log(start, tmp_path):
    waiting = start("telemetry", "watch", "--follow", tmp_path / "log")
    waiting.stderr.readline()
    waiting.send_signal(signal.SIGINT)
    assert waiting.communicate()[1] == "error: interrupted\n"
    assert waiting.returncode == 130


def test_numbers_beyond_2_to_the_53_nan_and_crlf_pass_through_a_pipe(pipe, make_record):
    name, feed = pipe
    lines = [orjson.dumps({"epoch": 1, "seed": 2**63}) + b"\r\n", b'{"epoch": 2, "lr": NaN}\r\n']
    feed(b"".join(lines))
    records = [record for _, record in reader.read_records(name, lambda line, problem: pytest.fail(problem))]
    assert records[0]["seed"] == 2**63
    assert str(records[1]["lr"]) == "nan"


@pytest.mark.parametrize("command", ["watch", "summary", "validate"])
@pytest.mark.parametrize(
    "start", [b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\x00", b"BZh9", b"PK\x03\x04"]
)
def test_compressed_data_under_another_name_is_called_so_once(townlet, tmp_path, command, start):
    path = tmp_path / "old.jsonl"
    path.write_bytes(start + b"\n\xff\n\x00\n")
    _, stdout, stderr = townlet("telemetry", command, path)
    said = stdout + stderr
    assert ("is compressed data; decompress it" in said) == (command != "summary")
    assert "not JSON" not in said
    assert "no record in this log" in said or command == "watch"


def test_compressed_data_in_a_pipe_is_called_so(pipe, log):
    name, feed = pipe
    feed(gzip.compress(log.read_bytes()))
    (line,) = read_lines(name, lambda: True)
    assert line.damage.startswith("is compressed data")
