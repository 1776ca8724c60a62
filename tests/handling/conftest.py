"""One capture of three towns and three episodes, as NPZ files and packed."""

import shutil

import pytest

from townlet_core.capture.session import capture
from townlet_core.replay.packed.pack import open_manifest, pack
from townlet_core.replay.validate import validate_path


@pytest.fixture(scope="session")
def captures(tmp_path_factory):
    """Folders by form; tests read them, and change copies only."""
    folder = tmp_path_factory.mktemp("captures")
    capture("queue_conflict", folder / "npz", towns=3, ticks=200)
    pack(open_manifest(folder / "npz"), folder / "arrow")
    return folder


@pytest.fixture(params=["npz", "arrow"])
def recorded(request, captures, tmp_path):
    """A copy of the capture in either form, which a test may change."""
    shutil.copytree(captures / request.param, tmp_path / "recorded")
    return tmp_path / "recorded"


@pytest.fixture
def npz_files(captures, tmp_path):
    """A copy of the capture as NPZ files, which a test may change."""
    shutil.copytree(captures / "npz", tmp_path / "npz")
    return tmp_path / "npz"


@pytest.fixture
def shards(captures, tmp_path):
    """A copy of the packed capture, which a test may change."""
    shutil.copytree(captures / "arrow", tmp_path / "arrow")
    return tmp_path / "arrow"


@pytest.fixture
def sound():
    """Assert that validation finds nothing at all."""

    def check(path):
        report = validate_path(path)
        assert [str(finding) for finding in report.findings] == []
        return report

    return check
