"""What is written is whole, in order and complete, whatever happened in between."""

import errno
import math
import os
import tempfile
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from townlet_core import io
from townlet_core.errors import DiskError, RunFailed
from townlet_core.telemetry.fields import BY_NAME, FIELDS
from townlet_core.telemetry.reader import closed_segments, read_lines
from townlet_core.telemetry.validate import LogCheck
from townlet_core.telemetry.writer import TelemetryWriter


@pytest.fixture(autouse=True, scope="module")
def _no_fsync():
    """A killed process loses nothing the kernel has, and thousands of fsyncs take long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


def offsets(log):
    return [orjson.loads(line.text)["log_stream_offset"] for line in read_lines(log)]


def whole_log(log):
    return b"".join(path.read_bytes() for path in [*closed_segments(log).values(), log])


def write_epochs(log, make_record, epochs, **options):
    with TelemetryWriter(log, **options) as writer:
        for epoch in epochs:
            writer.write(make_record(epoch))


def test_a_record_is_one_line_with_version_and_offset_in_the_order_of_the_table(tmp_path, make_record):
    log = tmp_path / "telemetry.jsonl"
    write_epochs(log, make_record, [1])
    written = orjson.loads(log.read_bytes())
    assert log.read_bytes().count(b"\n") == 1
    added = {"telemetry_version": 1.1, "log_stream_offset": 1, "log_every": 1}
    assert written == {**make_record(1), **added}
    assert list(written) == [field.name for field in FIELDS if field.name in written]


def test_a_record_is_one_write(tmp_path, make_record, monkeypatch):
    with TelemetryWriter(tmp_path / "log") as writer:
        sizes = []
        real = os.write
        monkeypatch.setattr(os, "write", lambda fd, data: sizes.append(len(data)) or real(fd, data))
        writer.write(make_record(1))
        writer.write(make_record(2))
        monkeypatch.undo()
    assert len(sizes) == 2
    assert sum(sizes) == (tmp_path / "log").stat().st_size


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss_policy": math.nan}, "epoch 7: loss_policy: NaN is not a number"),
        ({"grad_norm": math.inf}, "grad_norm: inf is not a number"),
        ({"los_policy": 1.0}, r"los_policy: not in FIELDS \(did you mean 'loss_policy'\?\)"),
        ({"updates": 1.5}, "updates: is 1.5, expected a whole number"),
        ({"lr": "fast"}, "lr: is text, expected a number"),
        ({"data_mode": "live"}, "data_mode: is 'live', expected replay or rollout or mixed"),
        ({"data_mode": "replay"}, "rollout_ticks: is 20 in replay, expected 0"),
        ({"seed": 2**64}, "epoch 7: Integer exceeds 64-bit range"),
        ({"rivalry_max_histogram": [1, 2]}, "rivalry_max_histogram: has 2 counts, expected 10"),
    ],
)
def test_a_wrong_record_is_refused_and_leaves_no_trace(tmp_path, make_record, changes, message):
    with TelemetryWriter(tmp_path / "log") as writer:
        with pytest.raises(RunFailed, match=message):
            writer.write(make_record(7, **changes))
        assert writer.offset == 0
    assert (tmp_path / "log").read_bytes() == b""


def test_a_record_that_lacks_a_required_field_is_refused(tmp_path, make_record):
    incomplete = make_record(1)
    del incomplete["adv_std"]
    with TelemetryWriter(tmp_path / "log") as writer, pytest.raises(RunFailed, match="adv_std: missing"):
        writer.write(incomplete)


def test_every_third_record_is_written_and_all_count(tmp_path, make_record):
    log = tmp_path / "log"
    write_epochs(log, make_record, range(1, 6), log_every=3)
    assert offsets(log) == [1, 4]
    with TelemetryWriter(log, log_every=3) as writer:
        writer.truncate_to(5)  # as a checkpoint of epoch 5 asks
        assert [writer.write(make_record(epoch)) for epoch in (6, 7, 8)] == [False, True, False]
    assert offsets(log) == [1, 4, 7]


def test_rotation_by_count_closes_segments_in_order_and_never_renames_them(tmp_path, make_record):
    log = tmp_path / "log"
    write_epochs(log, make_record, range(1, 4), max_records=2)
    first = (tmp_path / "log.1").stat().st_ino
    write_epochs(log, make_record, range(4, 26), max_records=2)
    assert (tmp_path / "log.1").stat().st_ino == first
    assert list(closed_segments(log)) == list(range(1, 13))
    assert offsets(log) == list(range(1, 26))
    assert offsets(tmp_path / "log.10") == [19, 20]


def test_rotation_by_size_keeps_every_segment_within_it(tmp_path, make_record):
    log = tmp_path / "log"
    write_epochs(log, make_record, range(1, 10), max_bytes=2000)
    sizes = [path.stat().st_size for path in closed_segments(log).values()]
    assert len(sizes) >= 3, sizes
    assert max(sizes) <= 2000
    assert offsets(log) == list(range(1, 10))


def test_a_rotated_segment_takes_the_number_after_the_largest(tmp_path, make_record):
    log = tmp_path / "log"
    write_epochs(log, make_record, range(1, 4), max_records=1)
    (tmp_path / "log.1").unlink()  # somebody cleaned up
    write_epochs(log, make_record, [4], max_records=1)
    assert list(closed_segments(log)) == [2, 3]
    assert offsets(log) == [2, 3, 4]


def test_offsets_continue_when_a_crash_left_only_closed_segments(tmp_path, make_record):
    log = tmp_path / "log"
    write_epochs(log, make_record, [1, 2])
    log.rename(tmp_path / "log.1")  # the crash came between the rename and the new live file
    write_epochs(log, make_record, [3])
    assert offsets(log) == [1, 2, 3]


@pytest.mark.parametrize("checkpoint", range(8))
@pytest.mark.parametrize("max_records", [None, 1, 3])
def test_a_resumed_log_equals_a_straight_one(tmp_path, make_record, checkpoint, max_records):
    write_epochs(tmp_path / "straight", make_record, range(1, 10), max_records=max_records)
    log = tmp_path / "resumed"
    write_epochs(log, make_record, range(1, 8), max_records=max_records)  # the last checkpoint is older
    with TelemetryWriter(log, max_records=max_records) as writer:
        writer.truncate_to(checkpoint)
        for epoch in range(checkpoint + 1, 10):
            writer.write(make_record(epoch))
    assert whole_log(log) == whole_log(tmp_path / "straight")
    assert list(LogCheck(log).problems()) == []


@pytest.mark.parametrize("crash_at", range(4))  # live cut, .3 removed, .2 removed, .1 cut
@pytest.mark.parametrize("after", [False, True])
def test_a_crashed_resume_can_be_done_again(tmp_path, make_record, monkeypatch, crash_at, after):
    log = tmp_path / "log"
    write_epochs(log, make_record, range(1, 15), max_records=4)
    steps = []

    def crashing(real):
        def step(*arguments):
            steps.append(arguments)
            if after or len(steps) != crash_at + 1:
                real(*arguments)
            if len(steps) == crash_at + 1:
                raise KeyboardInterrupt

        return step

    monkeypatch.setattr(io, "truncate", crashing(io.truncate))
    monkeypatch.setattr(io, "remove", crashing(io.remove))
    with pytest.raises(KeyboardInterrupt), TelemetryWriter(log) as writer:
        writer.truncate_to(2)
    monkeypatch.undo()
    with TelemetryWriter(log) as writer:
        writer.truncate_to(2)
        writer.write(make_record(3))
    assert offsets(log) == [1, 2, 3]


def test_a_checkpoint_ahead_of_the_log_leaves_a_gap_and_drops_nothing(tmp_path, make_record):
    log = tmp_path / "log"
    write_epochs(log, make_record, [1, 2])
    with TelemetryWriter(log) as writer:
        writer.truncate_to(5)
        writer.write(make_record(6))
    assert offsets(log) == [1, 2, 6]


def test_a_full_disk_leaves_no_half_record_behind(tmp_path, make_record, monkeypatch):
    log = tmp_path / "log"
    with TelemetryWriter(log) as writer:
        writer.write(make_record(1))
        real, room = os.write, [100]

        def fill_up(descriptor, data):
            if not room[0]:
                raise OSError(errno.ENOSPC, "No space left on device")
            written = real(descriptor, bytes(data[: room[0]]))
            room[0] -= written
            return written

        monkeypatch.setattr(os, "write", fill_up)
        with pytest.raises(DiskError, match="No space left"):
            writer.write(make_record(2))
        monkeypatch.undo()
        writer.write(make_record(2))
    assert offsets(log) == [1, 2]


def test_a_log_cut_at_any_byte_continues_and_loses_only_the_partial_record(tmp_path, make_record):
    original = tmp_path / "original"
    write_epochs(original, make_record, range(1, 6), max_records=3)
    live = original.read_bytes()
    assert live.count(b"\n") == 2
    log = tmp_path / "log"
    (tmp_path / "log.1").write_bytes((tmp_path / "original.1").read_bytes())
    for cut in range(len(live) + 1):
        log.write_bytes(live[:cut])
        whole = 3 + live[:cut].count(b"\n")
        write_epochs(log, make_record, [9], max_records=100)
        assert offsets(log) == list(range(1, whole + 2)), cut
        assert list(LogCheck(log).problems()) == [], cut


finite = st.floats(allow_nan=False, allow_infinity=False)
counts = st.integers(0, 2**53)
VALUES = {
    "int": counts,
    "float": finite,
    "str": st.text(max_size=20),
    "histogram": st.lists(counts, min_size=10, max_size=10),
}
# The mode and its ticks depend on each other, a log has one run; the writer has its own version and offset.
DRAWN = sorted(BY_NAME.keys() - {"epoch", "data_mode", "rollout_ticks", "run_id"})


@settings(max_examples=60)
@given(st.data())
def test_whatever_is_written_reads_back_equal_and_validates(make_record, data):
    written = []
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        for _ in range(data.draw(st.integers(1, 3))):  # runs
            with TelemetryWriter(log, max_records=data.draw(st.sampled_from([None, 1, 2]))) as writer:
                for epoch in range(data.draw(st.integers(0, 4))):
                    names = data.draw(st.lists(st.sampled_from(DRAWN)))
                    record = make_record(
                        epoch, **{name: data.draw(VALUES[BY_NAME[name].type]) for name in names}
                    )
                    writer.write(record)
                    own = {"telemetry_version": 1.1, "log_stream_offset": len(written) + 1, "log_every": 1}
                    written.append({**record, **own})
        if written:
            assert list(LogCheck(log).problems()) == []
        assert [orjson.loads(line.text) for line in read_lines(log)] == written
