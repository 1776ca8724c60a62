"""A folder that appears whole: new, in the place of an old one, and after every failure."""

import os

import pytest

from townlet_core.bulk import whole_folder
from townlet_core.errors import DiskError, InputError


def content(folder):
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def old(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "old.txt").write_text("old")
    return folder


def write(output, check_old=lambda names: None, error=None):
    with whole_folder(output, check_old) as folder:
        (folder / "new.txt").write_text("new")
        assert not (output / "new.txt").exists()
        if error:
            raise error


def test_a_new_folder_appears_when_the_block_ends(tmp_path):
    write(tmp_path / "below" / "data")
    assert content(tmp_path) == {"below/data/new.txt": "new"}


def test_an_old_folder_is_replaced_where_its_names_may_be(old):
    seen = []
    write(old, check_old=seen.append)
    assert seen == [["old.txt"]]
    assert content(old.parent) == {"data/new.txt": "new"}


def test_a_link_to_a_folder_stays(old):
    link = old.parent / "link"
    link.symlink_to(old)
    write(link)
    assert link.is_symlink()
    assert content(old) == {"new.txt": "new"}


def test_an_old_folder_stays_without_a_check_and_where_the_check_refuses(old):
    def refuse(names):
        raise InputError("mine")

    for check, message in ((None, "already exists"), (refuse, "mine")):
        with pytest.raises(InputError, match=message):
            write(old, check_old=check)
        assert content(old.parent) == {"data/old.txt": "old"}


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, OSError(28, "No space left on device")])
def test_whatever_is_raised_in_the_block_leaves_the_old_folder(old, error):
    with pytest.raises(DiskError if isinstance(error, OSError) else error):
        write(old, error=error)
    assert content(old.parent) == {"data/old.txt": "old"}


@pytest.mark.parametrize("call", [1, 2])
def test_a_rename_that_fails_leaves_the_old_folder(old, monkeypatch, call):
    rename, calls = os.rename, []

    def refuse(*names):
        calls.append(names)
        if len(calls) == call:
            raise OSError(30, "Read-only file system")
        rename(*names)

    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(DiskError, match="Read-only"):
        write(old)
    assert content(old.parent) == {"data/old.txt": "old"}
