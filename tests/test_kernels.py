"""Machine code that is kept survives damage, and a cache that cannot be written stops nothing."""

import errno
import os
import warnings

import pytest

from townlet_core import kernels
from townlet_core.errors import TownletWarning
from townlet_core.simulation import towns


def double(number):
    return 2 * number


def run_double(folder):
    """Call the function as a new process would; returns whether its machine code was there."""
    compiled = kernels.cached_njit(folder)(double)
    assert compiled(21) == 42
    return bool(compiled.stats.cache_hits)


@pytest.fixture(autouse=True)
def nothing_was_told(monkeypatch):
    monkeypatch.setattr(kernels, "_warned", set())


def test_what_was_compiled_is_not_compiled_again(tmp_path):
    assert not run_double(tmp_path)
    assert run_double(tmp_path)
    assert kernels.is_cached("double", tmp_path)


def test_every_compilation_is_told_and_no_reading(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(kernels._COMPILATIONS, "tell", kernels._COMPILATIONS.tell)
    kernels.tell_compiled(lambda name, seconds: told.append((name, seconds)))
    run_double(tmp_path)
    run_double(tmp_path)
    ((name, seconds),) = told
    assert name == "double"
    assert 0 < seconds < 60


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "gone", "a folder"])
def test_a_damaged_file_is_compiled_again_and_replaced(tmp_path, damage):
    run_double(tmp_path)
    (file,) = tmp_path.glob("*.nbc")
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.unlink()
    if damage == "a folder":
        file.mkdir()
        with pytest.warns(TownletWarning, match="Is a directory"):
            assert not run_double(tmp_path)
        return
    if damage != "gone":
        file.write_bytes({"empty": b"", "cut": data[: len(data) // 2], "flipped": data}[damage])
    assert not run_double(tmp_path)
    assert run_double(tmp_path)


def test_a_cache_that_cannot_be_written_is_told_once_although_numba_changes_filters(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file"))

    def look_again():
        for _ in range(3):
            warnings.filterwarnings("default", category=TownletWarning)  # forgets what was shown
            kernels.warn_if_unwritable()

    with pytest.warns(TownletWarning) as told:
        look_again()
    assert len(told) == 1


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO])
def test_a_cache_that_cannot_be_written_is_told_once_and_stops_nothing(tmp_path, monkeypatch, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(kernels, "write_file", refuse)
    with pytest.warns(TownletWarning) as told:
        assert not run_double(tmp_path)
    assert [str(kernels.cache_home()) in str(warning.message) for warning in told] == [True]
    assert os.strerror(number) in str(told[0].message)


def test_a_cache_that_can_only_be_read_is_read(tmp_path, monkeypatch):
    run_double(tmp_path)

    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    for name in ("mkdir", "open", "replace"):
        monkeypatch.setattr(os, name, refuse)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert run_double(tmp_path)


def test_kernels_of_a_user_without_a_home_are_kept_nowhere(monkeypatch):
    for name in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)

    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(kernels.Path, "home", no_home)
    with pytest.warns(TownletWarning, match="can't be kept here"):
        kernels.warn_if_unwritable()


def test_a_command_that_must_compile_says_first_that_nothing_can_be_kept(townlet, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setattr(towns, "is_compiled", lambda function: False)
    code, _, said = townlet("capture", "queue_conflict", "--ticks", 1, "--output", tmp_path / "capture")
    assert code == 0
    first, second = [line for line in said.splitlines() if "compil" in line]
    assert first.startswith(f"warning: {tmp_path / 'file' / 'townlet'}: compiled rules can't be kept here")
    assert second.startswith("compiling the rules of the town")


def test_types_that_are_compiled_at_the_same_time_have_their_own_files(tmp_path):
    first, second = (kernels.cached_njit(tmp_path)(double) for _ in range(2))
    for one in (first, second):
        one._cache._cache_file.load = lambda key: None  # both looked before the other had saved
    assert (first(21), second(2.5)) == (42, 5.0)
    again = kernels.cached_njit(tmp_path)(double)
    assert (again(21), again(2.5)) == (42, 5.0)
    assert sum(again.stats.cache_hits.values()) == 2


def test_the_folder_is_that_of_the_content_wherever_the_sources_are(tmp_path):
    for name, text in (("a", "x = 1"), ("b", "x = 2"), ("c", "x = 1")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "rules.py").write_text(text)
    a, b, c = (kernels.folder_of([tmp_path / name / "rules.py"]) for name in "abc")
    assert a == c != b


@pytest.mark.parametrize(
    ("place", "name", "value"),
    [
        (kernels.numba, "__version__", "0.1"),
        (kernels.llvmlite, "__version__", "0.1"),
        (kernels.config, "CPU_NAME", "generic"),
        (kernels.config, "CPU_FEATURES", "+sse2"),
    ],
)
def test_the_folder_is_another_for_other_libraries_and_processors(tmp_path, monkeypatch, place, name, value):
    here = kernels.folder_of([])
    monkeypatch.setattr(place, name, value)
    assert kernels.folder_of([]) != here


@pytest.fixture
def caches(tmp_path, monkeypatch):
    """Return the shared cache and the user's own, both empty."""
    shared, own = tmp_path / "shared", tmp_path / "own"
    monkeypatch.setenv("TOWNLET_CACHE", str(shared))
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(own))
    return shared / "kernels-1", own / "kernels-1"


def test_kernels_are_kept_in_the_shared_cache_and_read_from_it(caches, monkeypatch):
    shared, own = caches
    assert not run_double(own)
    assert list(shared.glob("*.nbc"))
    assert not own.exists()
    assert run_double(own)


def test_what_a_shared_cache_lacks_and_refuses_is_kept_in_the_users_own(caches, monkeypatch):
    shared, own = caches
    shared.parent.touch()  # a file, so that no folder can be made
    assert not run_double(own)
    assert list(own.glob("*.nbc"))
    assert run_double(own)
    assert kernels.find_writable_cache() == own.parent


@pytest.mark.parametrize("what", ["file", "folder", "home"])
def test_what_others_can_write_is_neither_read_nor_extended(caches, what):
    shared, own = caches
    run_double(own)
    (file,) = shared.glob("*.nbc")
    {"file": file, "folder": shared, "home": shared.parent}[what].chmod(0o777)
    with pytest.warns(TownletWarning, match="are not used: other users can write"):
        assert not run_double(own)
    assert bool(list(own.glob("*.nbc"))) == (what != "file")
