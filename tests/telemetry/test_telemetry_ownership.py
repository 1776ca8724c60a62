"""A log has one writer and one run: who comes second is told so, and cuts nothing of the other's."""

import errno
import fcntl
import os

import orjson
import pytest

from townlet_core.errors import BusyError, DiskError, InputError
from townlet_core.locks import FileLock
from townlet_core.telemetry.reader import read_lines
from townlet_core.telemetry.validate import LogCheck
from townlet_core.telemetry.writer import TelemetryWriter, begin_log, claim_log, take_up_log


def write(log, make_record, epochs, run_id="a-1", **options):
    with TelemetryWriter(log, **options) as writer:
        for epoch in epochs:
            writer.write(make_record(epoch, run_id=run_id))


def whole(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def problems(log):
    return [problem.problem for problem in LogCheck(log).problems()]


def test_the_second_writer_of_a_log_is_told_who_the_first_is(tmp_path):
    said = rf"log: another process is writing to it \(pid {os.getpid()}: "
    with TelemetryWriter(tmp_path / "log"), pytest.raises(BusyError, match=said):
        TelemetryWriter(tmp_path / "log")
    TelemetryWriter(tmp_path / "log").close()
    assert os.listdir(tmp_path) == ["log"]  # the lock goes with its holder


def test_a_link_to_a_log_leads_to_the_same_lock_and_the_same_segments(tmp_path, make_record):
    (tmp_path / "real").mkdir()
    log, link = tmp_path / "real" / "log", tmp_path / "link"
    link.symlink_to(log)
    with TelemetryWriter(log), pytest.raises(BusyError):
        TelemetryWriter(link)
    write(link, make_record, range(1, 6), max_records=2)
    assert link.is_symlink()
    assert sorted(os.listdir(tmp_path / "real")) == ["log", "log.1", "log.2"]
    assert len(list(read_lines(link))) == 5
    assert problems(link) == []


def test_rotation_keeps_the_lock(tmp_path, make_record):
    with TelemetryWriter(tmp_path / "log", max_records=1) as writer:
        for epoch in range(1, 4):
            writer.write(make_record(epoch))
            with pytest.raises(BusyError):
                TelemetryWriter(tmp_path / "log")


def test_a_forked_child_that_ends_does_not_give_the_lock_away(tmp_path):
    with TelemetryWriter(tmp_path / "log") as writer:
        child = os.fork()
        if child == 0:
            writer.close()
            os._exit(0)
        os.waitpid(child, 0)
        with pytest.raises(BusyError):
            TelemetryWriter(tmp_path / "log")


def test_what_a_killed_writer_left_of_its_lock_is_taken_over(tmp_path):
    (tmp_path / ".log.lock").write_text("pid 1: townlet train")
    TelemetryWriter(tmp_path / "log").close()
    assert os.listdir(tmp_path) == ["log"]


def test_a_lock_that_was_given_back_between_opening_and_taking_it_locks_nothing(tmp_path, monkeypatch):
    first = FileLock(tmp_path / "log")
    real = os.open

    def open_late(*arguments, **options):
        descriptor = real(*arguments, **options)
        monkeypatch.undo()
        first.release()  # removes the file that has just been opened
        return descriptor

    monkeypatch.setattr(os, "open", open_late)
    with FileLock(tmp_path / "log"), pytest.raises(BusyError):
        FileLock(tmp_path / "log")


@pytest.mark.parametrize("call", ["flock", "ftruncate", "write"])
def test_a_disk_that_refuses_the_lock_is_named_and_left_as_it_was(tmp_path, monkeypatch, call):
    def refuse(*arguments):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl if call == "flock" else os, call, refuse)
    with pytest.raises(DiskError, match=r"\.log\.lock: No locks available"):
        TelemetryWriter(tmp_path / "log")
    assert os.listdir(tmp_path) == []


def test_a_lock_file_that_is_a_link_is_not_written_through(tmp_path):
    (tmp_path / "precious").write_text("mine")
    (tmp_path / ".log.lock").symlink_to(tmp_path / "precious")
    with pytest.raises(DiskError, match=r"\.log\.lock"):
        TelemetryWriter(tmp_path / "log")
    assert (tmp_path / "precious").read_text() == "mine"


def test_a_log_that_is_there_is_not_claimed_without_force(tmp_path, make_record):
    log = tmp_path / "log"
    write(log, make_record, range(1, 6), max_records=2)
    before = whole(tmp_path)
    with pytest.raises(InputError, match="already exists"):
        claim_log(log, force=False)
    assert whole(tmp_path) == before
    begin_log(log, force=True).release()
    assert whole(tmp_path) == {"log": b""}


@pytest.mark.parametrize("name", ["log", "log.7", "log.2.zst"])
def test_force_replaces_logs_and_nothing_beside_them(tmp_path, make_record, name):
    log = tmp_path / "log"
    write(log, make_record, range(1, 4), max_records=2)
    (tmp_path / name).write_bytes(b"my notes\n")
    before = whole(tmp_path)
    with pytest.raises(InputError, match=f"{name}: is "):
        begin_log(log, force=True)
    assert whole(tmp_path) == before


@pytest.mark.parametrize("path", ["/dev/zero", "folder"])
def test_a_device_and_a_folder_are_no_place_for_a_log(tmp_path, path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="is a folder or a device, expected a log"):
        claim_log(tmp_path / path, force=True)


# The run `a-1` has told 4 records to its last checkpoint. Then came:
def another_run_behind_it(log, make_record):
    write(log, make_record, [5, 6], "b-2", max_records=3)


def another_log_in_its_place(log, make_record):
    begin_log(log, force=True).release()
    write(log, make_record, [1, 2], "b-2")


def a_longer_log_in_its_place(log, make_record):
    begin_log(log, force=True).release()
    write(log, make_record, range(1, 9), "b-2", max_records=3)


def another_writer_behind_it(log, make_record):
    with TelemetryWriter(log) as writer:
        writer.write(make_record(5))


@pytest.mark.parametrize(
    "then",
    [another_run_behind_it, another_log_in_its_place, a_longer_log_in_its_place, another_writer_behind_it],
)
def test_a_run_does_not_go_on_in_a_log_that_another_has_since_written(tmp_path, make_record, then):
    log = tmp_path / "log"
    write(log, make_record, range(1, 5), max_records=3)
    then(log, make_record)
    before = whole(tmp_path)
    with pytest.raises(InputError, match=r"holds records of (run 'b-2'|another writer) where those of"):
        take_up_log(log, "a-1", 4)
    assert whole(tmp_path) == before


def test_a_run_takes_up_its_own_log_also_with_records_behind_its_checkpoint(tmp_path, make_record):
    log = tmp_path / "log"
    write(log, make_record, range(1, 9), max_records=3)
    with take_up_log(log, "a-1", 4) as lock, TelemetryWriter(log, lock=lock) as writer:
        assert writer.resume(4) is None
        assert writer.write(make_record(5, run_id="a-1"))
    assert problems(log) == []


@pytest.mark.parametrize(
    ("there", "said"), [(0, "holds no record"), (2, "ends with record 2"), (4, None), (5, None)]
)
def test_a_log_that_lost_its_end_goes_on_with_a_gap_that_is_told(tmp_path, make_record, there, said):
    log = tmp_path / "log"
    write(log, make_record, range(1, there + 1))
    with TelemetryWriter(log) as writer:
        warning = writer.resume(4)
        writer.write(make_record(5, run_id="a-1"))
    assert (warning is None) == (said is None)
    if said:
        assert f"{said}, and the run had written up to 4: the log goes on with a gap" in warning
    assert problems(log) == (
        {0: ["of the first record is 5, expected 1: records are missing"]}
        | {2: ["is 5 after 2, expected 3: records are missing"]}
    ).get(there, [])


def test_records_that_were_not_due_are_no_gap(tmp_path, make_record):
    log = tmp_path / "log"
    write(log, make_record, range(1, 6), log_every=3)  # writes 1 and 4
    with TelemetryWriter(log, log_every=3) as writer:
        assert writer.resume(5) is None
        for epoch in range(6, 12):
            writer.write(make_record(epoch, run_id="a-1"))
    assert [orjson.loads(line.text)["log_stream_offset"] for line in read_lines(log)] == [1, 4, 7, 10]
    assert problems(log) == []


def test_another_log_every_is_no_gap_either_and_a_lost_record_is_one(tmp_path, make_record):
    log = tmp_path / "log"
    for every, epochs in ((1, [1, 2]), (3, [3, 4, 5]), (1, [6, 7])):
        write(log, make_record, epochs, log_every=every)
    assert [orjson.loads(line.text)["log_stream_offset"] for line in read_lines(log)] == [1, 2, 4, 5, 6]
    assert problems(log) == []
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join([*lines[:2], *lines[3:]]))
    assert problems(log) == ["is 5 after 2, expected 3: records are missing"]


def test_records_of_several_runs_in_one_log_are_a_problem(tmp_path, make_record):
    log = tmp_path / "log"
    write(log, make_record, [1, 2], "a-1")
    write(log, make_record, [3, 4], "b-2")
    assert problems(log) == ["is 'b-2' after 'a-1': records of several runs in one log"]
