"""A log is all of its segments: compressed, linked to, or missing, which is told."""

import gzip
import os
import shutil

import orjson
import pytest

from townlet_core.errors import InputError
from townlet_core.telemetry import reader
from townlet_core.telemetry.reader import read_lines, read_records
from townlet_core.telemetry.segments import closed_segments, find_log, log_name, segment_gaps
from townlet_core.telemetry.validate import LogCheck
from townlet_core.telemetry.writer import TelemetryWriter


@pytest.fixture
def log(tmp_path, make_record):
    """A log of seven records: .1, .2 and .3 hold two each, the live file one."""
    path = tmp_path / "log"
    write(path, make_record, range(1, 8))
    return path


def write(log, make_record, epochs):
    with TelemetryWriter(log, max_records=2) as writer:
        for epoch in epochs:
            writer.write(make_record(epoch))


def compress(path, ending=".gz"):
    """Do as a nightly job does; what is not gzip is noise here."""
    data = gzip.compress(path.read_bytes()) if ending == ".gz" else b"\x28\xb5\x2f\xfd noise"
    path.with_name(path.name + ending).write_bytes(data)
    path.unlink()


def epochs(log):
    return [orjson.loads(line.text)["epoch"] for line in read_lines(log)]


def problems(log):
    return [(os.path.basename(p.path), p.line, p.problem) for p in LogCheck(log).problems()]


def test_compressed_segments_are_read_like_the_others(log):
    compress(log.with_name("log.1"))
    compress(log.with_name("log.2"))
    assert epochs(log) == [1, 2, 3, 4, 5, 6, 7]
    assert problems(log) == []


def test_a_whole_log_that_was_compressed_is_read_by_either_name(log):
    for name in ("log", "log.1", "log.2", "log.3"):
        compress(log.with_name(name))
    assert epochs(log) == epochs(log.with_name("log.gz")) == [1, 2, 3, 4, 5, 6, 7]
    assert epochs(log.with_name("log.2.gz")) == [3, 4]
    assert log_name(log.with_name("log.gz")) == log


def test_while_a_segment_is_being_compressed_the_plain_file_counts(log):
    log.with_name("log.2.gz").write_bytes(gzip.compress(b"half of")[:9])
    assert epochs(log) == [1, 2, 3, 4, 5, 6, 7]


def test_a_segment_that_vanishes_into_its_compressed_copy_is_still_read(log, monkeypatch):
    real = reader.open_segment

    def compress_first(path):
        if path.name == "log.2":
            compress(path)
        return real(path)

    monkeypatch.setattr(reader, "open_segment", compress_first)
    assert epochs(log) == [1, 2, 3, 4, 5, 6, 7]


def test_following_survives_a_rotated_segment_that_is_compressed_at_once(log, make_record):
    def rotate_and_compress():
        write(log, make_record, [8, 9])  # closes .4
        compress(log.with_name("log.4"))
        return True

    steps = [rotate_and_compress, lambda: False]
    seen = [orjson.loads(line.text)["epoch"] for line in read_lines(log, lambda: steps.pop(0)())]
    assert seen == [1, 2, 3, 4, 5, 6, 7, 8, 9]


@pytest.mark.parametrize("ending", [".zst", ".bz2", ".xz"])
def test_a_segment_that_is_not_read_is_named(log, ending):
    compress(log.with_name("log.2"), ending)
    assert epochs(log) == [1, 2, 5, 6, 7]
    named, gap = problems(log)
    assert named == (
        f"log.2{ending}",
        0,
        "is compressed in a way that is not read; decompress it, or use gzip",
    )
    assert gap == ("log.3", 1, "is 5 after 2, expected 3: records are missing")


@pytest.mark.parametrize("cut", [0, 1, 9, 20, -8, -1])
def test_damaged_compressed_data_is_a_problem_of_its_line(log, cut):
    compress(log.with_name("log.2"))
    damaged = log.with_name("log.2.gz")
    damaged.write_bytes(damaged.read_bytes()[:cut])
    found = problems(log)
    assert any(name == "log.2.gz" or "missing" in problem for name, _, problem in found)
    assert epochs_but_damaged(log)[-3:] == [5, 6, 7]


def epochs_but_damaged(log):
    return [record["epoch"] for _, record in read_records(log, lambda line, problem: None)]


@pytest.mark.parametrize(
    ("gone", "problem"),
    [
        (["log.1"], ("log.1", 0, "this segment is missing")),
        (["log.2"], ("log.2", 0, "this segment is missing")),
        (["log.1", "log.2"], ("log.1", 0, "this segment is missing, and so is every segment up to .2")),
    ],
)
def test_a_missing_segment_is_told_by_its_number_and_by_the_offsets(log, gone, problem):
    for name in gone:
        log.with_name(name).unlink()
    by_number, by_offset = problems(log)
    assert by_number == problem
    assert by_offset[2].endswith("records are missing")


def test_a_missing_last_segment_is_told_by_the_offsets(log):
    log.with_name("log.3").unlink()
    assert problems(log) == [("log", 1, "is 7 after 4, expected 5: records are missing")]


def test_segments_of_logs_that_others_wrote_need_no_offsets(tmp_path):
    (tmp_path / "log.3").write_text("")
    assert segment_gaps(tmp_path / "log") == [
        (tmp_path / "log.1", "this segment is missing, and so is every segment up to .2")
    ]


@pytest.mark.parametrize("ending", [".gz", ".zst"])
def test_the_number_of_a_compressed_segment_is_not_given_again(log, make_record, ending):
    compress(log.with_name("log.3"), ending)
    write(log, make_record, [8, 9])
    assert list(closed_segments(log)) == [1, 2, 3, 4]


def test_the_number_of_a_segment_that_was_moved_away_is_not_given_again(log, make_record):
    for gone in (1, 2, 3):
        log.with_name(f"log.{gone}").unlink()
    write(log, make_record, [8, 9])
    (number,) = closed_segments(log)
    assert number > 3
    log.with_name(f"log.{number}").unlink()
    with TelemetryWriter(log, max_records=2) as writer:
        writer.write(make_record(10))
        closed = max(closed_segments(log), default=number)
        log.with_name(f"log.{closed}").unlink(missing_ok=True)  # while it is written
        writer.write(make_record(11))
        writer.write(make_record(12))
        assert min(closed_segments(log)) > closed


def test_no_number_is_given_again_where_the_whole_log_was_moved_away(log, make_record):
    for file in (log, *closed_segments(log).values()):
        file.unlink()
    with TelemetryWriter(log, max_records=2) as writer:
        writer.resume(7)
        for epoch in (8, 9, 10, 11, 12):
            writer.write(make_record(epoch))
    given = list(closed_segments(log))
    write(log, make_record, [13, 14])
    assert min(given) > 3
    assert list(closed_segments(log)) == [given[0], given[0] + 1, given[0] + 2]


def test_a_resumed_run_cuts_a_compressed_segment(log, make_record, tmp_path):
    straight = b"".join(line.text for line in read_lines(log))
    compress(log.with_name("log.2"))
    compress(log.with_name("log.3"))
    with TelemetryWriter(log, max_records=2) as writer:
        writer.truncate_to(3)
        for epoch in range(4, 8):
            writer.write(make_record(epoch))
    assert b"".join(line.text for line in read_lines(log)) == straight
    assert sorted(os.listdir(tmp_path)) == ["log", "log.1", "log.2", "log.3"]
    assert problems(log) == []


def test_a_resumed_run_does_not_lose_what_it_cannot_read(log):
    compress(log.with_name("log.3"), ".zst")
    log.unlink()
    with pytest.raises(InputError, match=r"log\.3\.zst: is compressed in a way that is not read"):
        TelemetryWriter(log)
    assert log.with_name("log.3.zst").exists()


def test_records_are_not_added_beside_a_live_file_that_was_compressed(log):
    compress(log)
    with pytest.raises(InputError, match=r"log\.gz: is compressed, and records cannot be added"):
        TelemetryWriter(log)
    assert not log.exists()


def test_a_link_that_leads_to_another_log_while_it_is_followed_is_followed_there(tmp_path, make_record):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "log", make_record, range(1, 4))
    link = tmp_path / "latest"
    link.symlink_to(tmp_path / "first" / "log")

    def point_to_second():
        link.unlink()
        link.symlink_to(tmp_path / "second" / "log")
        return True

    steps = [point_to_second, lambda: False]
    assert len(list(read_lines(link, lambda: steps.pop(0)()))) == 6


def test_a_run_folder_leads_to_its_log(tmp_path):
    assert find_log(tmp_path) is None
    (tmp_path / "config.yaml").write_text("training:\n  ppo_log: null\n")
    assert find_log(tmp_path) == tmp_path / "telemetry.jsonl"
    (tmp_path / "config.yaml").write_text("training:\n  ppo_log: logs/ppo.jsonl\n")
    assert find_log(tmp_path) == tmp_path / "logs" / "ppo.jsonl"
    (tmp_path / "config.yaml").write_text("training:\n  ppo_log: /data/ppo.jsonl\n")
    assert str(find_log(tmp_path)) == "/data/ppo.jsonl"
    (tmp_path / "config.yaml").write_text("training: [")
    with pytest.raises(InputError, match=r"config\.yaml:1:12: syntax: "):
        find_log(tmp_path)


def test_a_folder_with_a_log_and_no_configuration_leads_to_it(log, tmp_path):
    shutil.move(log, tmp_path / "telemetry.jsonl")
    assert find_log(tmp_path) == tmp_path / "telemetry.jsonl"
