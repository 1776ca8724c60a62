"""The small doors to the disk that logs need."""

import os

import pytest

from townlet_core import io
from townlet_core.errors import DiskError


def test_a_file_is_cut_to_its_first_bytes(tmp_path):
    (tmp_path / "log").write_bytes(b"abcdef")
    io.truncate(tmp_path / "log", 2)
    assert (tmp_path / "log").read_bytes() == b"ab"


def test_a_renamed_file_has_only_its_new_name(tmp_path):
    (tmp_path / "log").write_bytes(b"abc")
    io.rename_file(tmp_path / "log", tmp_path / "log.1")
    assert os.listdir(tmp_path) == ["log.1"]


def test_a_disk_that_refuses_is_an_error_of_ours(tmp_path):
    with pytest.raises(DiskError, match="log"):
        io.truncate(tmp_path / "log", 2)
    with pytest.raises(DiskError, match="log"):
        io.rename_file(tmp_path / "log", tmp_path / "log.1")
    reading, writing = os.pipe()  # cannot be flushed
    with pytest.raises(DiskError, match="log"):
        io.flush(writing, tmp_path / "log")
    os.close(reading)
    os.close(writing)
