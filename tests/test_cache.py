"""Only files that nobody else can have written are executed."""

import os
from types import SimpleNamespace

import pytest

from townlet_core import cache
from townlet_core.cache import cache_size, distrust, make_folder

OTHER = 4711


@pytest.fixture
def owned(monkeypatch):
    """Return a function that makes files look as if they had another owner, group or mode."""
    facts, stat = {}, os.stat

    def look(path, **options):
        found = stat(path, **options)
        change = facts.get(str(path), {})
        return SimpleNamespace(
            st_uid=change.get("uid", found.st_uid),
            st_gid=change.get("gid", found.st_gid),
            st_mode=found.st_mode & ~0o7777 | change.get("mode", found.st_mode & 0o7777),
        )

    monkeypatch.setattr(cache.os, "stat", look)
    return lambda path, **change: facts.update({str(path): change})


@pytest.mark.parametrize(
    ("change", "is_trusted"),
    [
        ({}, True),
        ({"uid": 0}, True),
        ({"uid": OTHER}, False),
        ({"mode": 0o757}, False),
        ({"mode": 0o775, "gid": OTHER}, False),
        ({"mode": 0o775, "uid": 0, "gid": 0}, True),
        ({"mode": 0o1777}, True),
        ({"uid": cache.UNMAPPED}, False),
    ],
)
def test_a_folder_is_trusted_if_nobody_else_can_write_in_it(tmp_path, owned, change, is_trusted):
    folder = tmp_path.resolve() / "kernels"
    folder.mkdir()
    owned(folder, **change)
    assert (distrust(folder) is None) == is_trusted


@pytest.mark.parametrize(
    ("change", "is_trusted"),
    [({"mode": 0o777}, False), ({"uid": OTHER}, False), ({"uid": cache.UNMAPPED}, True)],
)
def test_the_folders_above_count_also_for_what_is_not_there_yet(tmp_path, owned, change, is_trusted):
    above = tmp_path.resolve()
    (above / "cache").mkdir()
    owned(above, **change)
    assert (distrust(above / "cache" / "missing") is None) == is_trusted


def test_the_owner_of_the_code_is_trusted(tmp_path, owned):
    folder = tmp_path.resolve()
    owned(folder, uid=OTHER)
    owned(cache.__file__, uid=OTHER)
    assert distrust(folder) is None


def test_a_link_is_judged_by_where_it_leads(tmp_path, owned):
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to("target")
    owned((tmp_path / "target").resolve(), uid=OTHER)
    assert "belongs to user 4711" in distrust(tmp_path / "link")


def test_new_folders_are_the_owners_alone_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        make_folder(tmp_path / "a" / "b")
    finally:
        os.umask(before)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("a", "a/b")] == [0o755, 0o755]


def test_the_size_of_a_cache_is_that_of_all_files_below(tmp_path):
    (tmp_path / "one").mkdir()
    for name in ("a", "one/b"):
        (tmp_path / name).write_bytes(b"12345")
    assert cache_size(tmp_path) == (2, 10)
