"""Files appear whole or not at all, and one writer holds a folder."""

import errno
import fcntl
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from townlet_core import io
from townlet_core.errors import BusyError, DiskError, InputError, MissingError
from townlet_core.locks import lock_folder


def test_a_written_file_holds_the_bytes_and_leaves_no_temporary(tmp_path):
    io.write_file(tmp_path / "deep" / "a.txt", b"hello")
    assert (tmp_path / "deep" / "a.txt").read_bytes() == b"hello"
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["a.txt"]


@pytest.mark.parametrize("failing", ["write", "fsync", "replace"])
def test_a_failed_write_keeps_the_old_file_and_leaves_no_temporary(tmp_path, monkeypatch, failing):
    io.write_file(tmp_path / "a.txt", b"old")

    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, failing, refuse)
    with pytest.raises(DiskError, match="No space left"):
        io.write_file(tmp_path / "a.txt", b"new")
    monkeypatch.undo()
    assert (tmp_path / "a.txt").read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_short_writes_are_continued(tmp_path, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, bytes(data[:3])))
    io.write_file(tmp_path / "a.txt", b"0123456789")
    assert (tmp_path / "a.txt").read_bytes() == b"0123456789"


def test_reading_names_what_is_missing_too_large_or_not_json(tmp_path):
    with pytest.raises(MissingError, match=r"nothing\.json: no such file"):
        io.read_json(tmp_path / "nothing.json")
    (tmp_path / "bad.json").write_text('{"a": 1,\n "b": }')
    with pytest.raises(InputError, match=r"bad\.json:2:7: not JSON"):
        io.read_json(tmp_path / "bad.json")
    with pytest.raises(InputError, match="more than 4 bytes"):
        io.read_file(tmp_path / "bad.json", max_bytes=4)


def test_reading_takes_the_memory_of_the_file_not_of_the_largest_allowed(tmp_path):
    (tmp_path / "small").write_bytes(b"12345")
    tracemalloc.start()
    assert io.read_file(tmp_path / "small", max_bytes=1 << 34) == b"12345"
    assert io.read_range(tmp_path / "small", 2, 1 << 34) == b"345"
    assert io.read_range(tmp_path / "small", 9, 1 << 34) == b""
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_a_file_that_hides_its_size_is_read_to_the_end():
    status = io.read_file(Path("/proc/self/status"))
    assert status.startswith(b"Name:")
    assert status.endswith(b"\n")
    with pytest.raises(InputError, match="more than 9 bytes"):
        io.read_file(Path("/proc/self/status"), max_bytes=9)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for read in (io.read_file, io.file_digest, lambda path: io.read_range(path, 0, 9)):
        with pytest.raises(InputError, match="pipe: is a folder or a device, expected a file"):
            read(tmp_path / "pipe")


def test_a_partial_last_line_is_cut_and_whole_lines_stay(tmp_path):
    log = tmp_path / "log.jsonl"
    log.write_bytes(b'{"a":1}\n{"a":2}\n{"a"')
    assert io.drop_partial_line(log) == 4
    assert log.read_bytes() == b'{"a":1}\n{"a":2}\n'
    assert io.drop_partial_line(log) == 0


def test_a_second_writer_is_refused_with_the_pid_of_the_first(tmp_path):
    program = "import sys; from townlet_core.locks import lock_folder\nwith lock_folder(sys.argv[1]): pass"
    with lock_folder(tmp_path):
        second = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True
        )
        assert "BusyError" in second.stderr
        assert f"pid {os.getpid()}" in second.stderr
    with lock_folder(tmp_path):
        pass  # free again
    assert BusyError.exit_code == 73


def test_who_takes_a_folder_over_removes_the_files_that_a_killed_writer_left_unfinished(tmp_path):
    for name in (".a.txt.0123abcd.tmp", "a.tmp", ".hidden"):
        (tmp_path / name).touch()
    with lock_folder(tmp_path):
        assert sorted(path.name for path in tmp_path.iterdir()) == [".hidden", ".lock", "a.tmp"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ENOLCK])
@pytest.mark.parametrize("failing", ["open", "flock", "ftruncate", "write", "listdir"])
def test_whatever_the_disk_refuses_at_a_lock_names_the_file(tmp_path, monkeypatch, failing, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl if failing == "flock" else os, failing, refuse)
    message = rf"{tmp_path.name}\S*: {os.strerror(number)}"
    with pytest.raises(DiskError, match=message), lock_folder(tmp_path):
        pass


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_is_called_one(tmp_path, monkeypatch, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(DiskError, match=r"\.lock: ") as found, lock_folder(tmp_path):
        pass
    assert found.value.hint.startswith("this file system has no locks")


@pytest.mark.parametrize("failing", ["ftruncate", "close"])
def test_letting_a_lock_go_cannot_fail(tmp_path, monkeypatch, failing):
    def refuse(*_):
        raise OSError(errno.EIO, "Input/output error")

    with lock_folder(tmp_path):
        monkeypatch.setattr(os, failing, refuse)


def test_a_refused_lock_leaves_no_file_open(tmp_path):
    with lock_folder(tmp_path):
        before = os.listdir("/proc/self/fd")
        with pytest.raises(BusyError), lock_folder(tmp_path):
            pass
        assert os.listdir("/proc/self/fd") == before


def test_a_log_that_is_refused_when_it_is_closed_is_named(tmp_path, monkeypatch):
    descriptor = io.open_append(tmp_path / "a.jsonl")

    def refuse(*_):
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(os, "close", refuse)
    with pytest.raises(DiskError, match=r"a\.jsonl: Disk quota exceeded"):
        io.close(descriptor, tmp_path / "a.jsonl")
    monkeypatch.undo()
    os.close(descriptor)


def test_a_new_log_is_flushed_into_its_folder(tmp_path, monkeypatch):
    flushed = []
    monkeypatch.setattr(io, "sync_folder", flushed.append)
    for _ in range(2):
        os.close(io.open_append(tmp_path / "logs" / "a.jsonl"))
    assert flushed == [tmp_path, tmp_path / "logs"]


def test_each_new_folder_is_flushed_into_the_one_above_it(tmp_path, monkeypatch):
    flushed = []
    monkeypatch.setattr(io, "sync_folder", flushed.append)
    io.write_file(tmp_path / "a" / "b" / "c.txt", b"x")
    assert flushed == [tmp_path, tmp_path / "a", tmp_path / "a" / "b"]


def test_a_link_to_a_file_or_to_nothing_is_not_replaced(tmp_path):
    (tmp_path / "page.html").write_bytes(b"x")
    for target in ("page.html", "nothing.html"):
        link = tmp_path / f"link to {target}"
        link.symlink_to(tmp_path / target)
        for force in (False, True):
            with pytest.raises(InputError, match="is a link to"):
                io.refuse_existing(link, force)
    (tmp_path / "folder").mkdir()
    (tmp_path / "way in").symlink_to(tmp_path / "folder")
    io.refuse_existing(tmp_path / "way in", force=False)  # what is written goes into the folder
