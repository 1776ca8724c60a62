"""Reading follows a log through whatever happens to it, and never takes more memory than a line may."""

import os

import orjson
import pytest

from townlet_core.errors import InputError, MissingError
from townlet_core.telemetry import reader
from townlet_core.telemetry.reader import read_lines, read_records
from townlet_core.telemetry.writer import TelemetryWriter


def follow(log, *steps):
    """Follow `log`, taking the next step each time everything has been read; return the texts."""
    waiting = list(steps)

    def take_a_step():
        if waiting:
            waiting.pop(0)()
            return True
        return False

    return [line.text.decode() for line in read_lines(log, take_a_step) if line.whole]


def add(log, text):
    def step():
        with open(log, "a") as file:
            file.write(text)

    return step


def test_segments_come_in_the_order_of_their_numbers(tmp_path):
    log = tmp_path / "log"
    for name in ("log.2", "log.10", "log.9", "log"):
        (tmp_path / name).write_text(f"{name}\n")
    for name in ("log.tmp", "log.01", "log.0", "other.1", "log.1x"):
        (tmp_path / name).write_text("not ours\n")
    assert [line.text for line in read_lines(log)] == [b"log.2", b"log.9", b"log.10", b"log"]


def test_lines_are_numbered_within_their_segment_and_the_half_written_one_is_told(tmp_path):
    (tmp_path / "log.1").write_text("a\nb\n")
    (tmp_path / "log").write_text("c\nhalf")
    lines = list(read_lines(tmp_path / "log"))
    assert [(line.place, line.whole) for line in lines] == [
        (f"{tmp_path}/log.1:1", True),
        (f"{tmp_path}/log.1:2", True),
        (f"{tmp_path}/log:1", True),
        (f"{tmp_path}/log:2", False),
    ]


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 1000])
def test_lines_are_the_same_whatever_the_size_of_a_read(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(reader, "CHUNK_BYTES", chunk)
    (tmp_path / "log").write_bytes(b"alpha\n\nbe\xc3\xa9ta\r\nrest")
    assert [line.text for line in read_lines(tmp_path / "log")] == [b"alpha", b"", b"be\xc3\xa9ta\r", b"rest"]


def test_an_endless_line_is_cut_and_the_next_one_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(reader, "MAX_LINE_BYTES", 10)
    monkeypatch.setattr(reader, "CHUNK_BYTES", 4)
    (tmp_path / "log").write_bytes(b"x" * 5000 + b"\n{}\n")
    long, short = read_lines(tmp_path / "log")
    assert 10 < len(long.text) <= 10 + 1 + 4
    assert short.text == b"{}"


def test_a_missing_log_and_a_folder_are_refused(tmp_path):
    with pytest.raises(MissingError, match="nothing: no such log"):
        next(read_lines(tmp_path / "nothing"))
    with pytest.raises(InputError, match="is a folder"):
        next(read_lines(tmp_path))


def test_following_shows_what_is_appended_and_waits_for_half_a_line(tmp_path):
    log = tmp_path / "log"
    log.write_text("1\n")
    assert follow(log, add(log, "2\n3"), add(log, "3\n4"), add(log, "\n")) == ["1", "2", "33", "4"]


def test_following_survives_one_rotation_and_several(tmp_path):
    log = tmp_path / "log"
    log.write_text("1\n")

    def rotate_once():
        add(log, "2\n")()
        os.rename(log, tmp_path / "log.1")
        add(log, "3\n")()

    def rotate_twice():
        os.rename(log, tmp_path / "log.2")
        add(log, "4\n")()
        os.rename(log, tmp_path / "log.3")

    assert follow(log, rotate_once, rotate_twice, add(log, "5\n")) == ["1", "2", "3", "4", "5"]


def test_following_reads_a_truncated_log_from_its_start(tmp_path):
    log = tmp_path / "log"
    log.write_text("1\n2\n3")
    assert follow(log, lambda: log.write_text("new\n"), add(log, "4\n")) == ["1", "2", "new", "4"]


def test_following_notices_a_truncated_log_that_grew_again(tmp_path):
    log = tmp_path / "log"
    log.write_text("1\n2\n")
    assert follow(log, lambda: log.write_text("one\ntwo\nthree\n")) == ["1", "2", "one", "two", "three"]


def test_following_a_real_writer_through_rotation_and_resume_misses_nothing(tmp_path, make_record):
    log = tmp_path / "log"
    writer = TelemetryWriter(log, max_records=2)

    def write(*epochs):
        return lambda: [writer.write(make_record(epoch)) for epoch in epochs]

    def resume():
        writer.truncate_to(4)
        write(5)()

    steps = [write(1), write(2, 3, 4, 5, 6, 7), resume, write(6, 7, 8, 9)]
    with writer:
        seen = [orjson.loads(text)["epoch"] for text in follow(log, *steps)]
    assert seen == [1, 2, 3, 4, 5, 6, 7, 5, 6, 7, 8, 9]


def test_damaged_lines_are_told_and_the_others_read(tmp_path):
    log = tmp_path / "log"
    log.write_text('{"epoch": 1}\nnot json\n[1]\n{"epoch": NaN}\n{"epo')
    damage = []
    records = [
        record for _, record in read_records(log, lambda line, problem: damage.append((line.number, problem)))
    ]
    assert [str(record["epoch"]) for record in records] == ["1", "nan"]
    assert damage[0][0] == 2
    assert "not JSON" in damage[0][1]
    assert damage[1:] == [(3, "not a JSON object"), (5, "half-written last line")]
