"""A capture replaces what it recognises as a capture's own, and nothing else, whatever a manifest lists."""

import json
import os
import shutil
import signal

import pytest
from dying import die_at_disk_call

from townlet_core.capture.capture import CaptureSettings, write_capture
from townlet_core.errors import InputError
from townlet_core.policy.scripted import ScriptedPolicy
from townlet_core.replay.validate import validate_path
from townlet_core.scenario.load import load_scenario

CONFLICT = load_scenario("queue_conflict")
MANIFEST = "rollout_sample_manifest.json"


def run(folder, force=False, **settings):
    chosen = CaptureSettings(**{"ticks": 5, "seed": 7, **settings})
    return write_capture(CONFLICT, ScriptedPolicy(CONFLICT), chosen, folder, force=force)


def contents(folder):
    """Name and bytes of everything below, the lock left out."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
        if path.name != ".lock"
    }


@pytest.fixture
def whole(tmp_path):
    """What the folder of a capture of one town holds."""
    run(tmp_path / "whole")
    return contents(tmp_path / "whole")


LISTS = {
    "a folder": [{"sample": "mine"}],
    "everything": [{"sample": "."}],
    "another file as JSON": [{"sample": "rollout_sample_anna_001.npz", "meta": "diary.json"}],
    "somebody's samples": [{"sample": "mine/theirs.npz"}, {"sample": "theirs.npz"}],
}


@pytest.mark.parametrize("listed", LISTS)
def test_a_manifest_does_not_decide_what_is_deleted(tmp_path, whole, listed):
    out = tmp_path / "out"
    run(out, num_towns=2)
    (out / "mine").mkdir()
    mine = {"diary.json": b"{}", "mine/theirs.npz": b"PK", "theirs.npz": b"PK", "theirs.json": b"{}"}
    for name, data in mine.items():
        (out / name).write_bytes(data)
    (out / MANIFEST).write_text(json.dumps({"metadata": {}, "samples": LISTS[listed]}))
    run(out, force=True)
    assert contents(out) == whole | mine | {"mine": None}


def test_recordings_of_another_origin_are_replaced_only_with_force(tmp_path, whole):
    out = tmp_path / "out"
    run(out, seed=8, num_towns=2)
    (out / MANIFEST).unlink()  # as a kill leaves them
    before = contents(out)
    with pytest.raises(InputError, match=r"anna_001\.npz: is of another capture: its seed is 8, expected 7"):
        run(out)
    assert contents(out) == before
    run(out, force=True)
    assert contents(out) == whole


def test_the_same_capture_by_an_older_version_is_the_same(tmp_path, whole):
    out = tmp_path / "out"
    run(out)
    for path in out.glob("*_0*.json"):
        metadata = json.loads(path.read_text())
        metadata["capture"]["versions"]["numpy"] = "1.0"
        path.write_text(json.dumps(metadata))
    (out / MANIFEST).unlink()
    run(out)
    assert contents(out) == whole


def test_arrays_without_their_json_are_nobodys_until_forced(tmp_path, whole):
    out = tmp_path / "out"
    run(out, num_towns=2)
    (out / MANIFEST).unlink()
    (out / "rollout_sample_cara_006.json").unlink()
    with pytest.raises(InputError, match=r"cara_006\.npz: already exists, and its origin is not known"):
        run(out)
    run(out, force=True)
    assert contents(out) == whole


def test_a_damaged_half_of_a_sample_is_known_by_the_other(tmp_path, whole):
    out = tmp_path / "out"
    run(out, num_towns=2)
    (out / "rollout_sample_anna_004.npz").write_bytes(b"")
    (out / "rollout_sample_ben_005.json").write_bytes(b"{")
    run(out, force=True)
    assert contents(out) == whole


@pytest.mark.parametrize(
    ("name", "data"), [("notes_001.json", b"{}"), ("anna_001.npz", b"PK"), ("me_002.json", b"not JSON")]
)
def test_a_file_with_the_name_of_a_sample_and_no_samples_content_is_refused(tmp_path, name, data):
    (tmp_path / f"rollout_sample_{name}").write_bytes(data)
    for force in (False, True):
        with pytest.raises(InputError, match="has the name of a sample, but not its content"):
            run(tmp_path, force)
    assert contents(tmp_path) == {f"rollout_sample_{name}": data}


@pytest.mark.parametrize("name", [MANIFEST, "rollout_sample_anna_001.npz", "rollout_sample_scenario.yaml"])
def test_a_link_or_a_folder_in_place_of_a_file_is_refused(tmp_path, name):
    out = tmp_path / "out"
    run(out)
    (out / name).rename(tmp_path / "kept")
    for put in (lambda: os.symlink(tmp_path / "kept", out / name), lambda: (out / name).mkdir()):
        put()
        before = contents(out)
        with pytest.raises(InputError, match=rf"{name}: is (a link|no file), and a capture writes"):
            run(out, force=True)
        assert contents(out) == before
        if (out / name).is_symlink():
            (out / name).unlink()


def test_a_link_to_a_folder_is_followed_and_stays(tmp_path, whole):
    run(tmp_path / "target", seed=8, num_towns=2)
    os.symlink("target", tmp_path / "link")
    run(tmp_path / "link", force=True)
    assert os.readlink(tmp_path / "link") == "target"
    assert contents(tmp_path / "target") == whole


def test_a_link_that_leads_nowhere_is_refused(tmp_path):
    os.symlink("nowhere", tmp_path / "link")
    with pytest.raises(InputError, match="link: is a link to nowhere, which is not there"):
        run(tmp_path / "link", force=True)
    assert os.listdir(tmp_path) == ["link"]


def test_captures_of_two_prefixes_share_a_folder(tmp_path):
    run(tmp_path, prefix="a_b")
    other = contents(tmp_path)
    for _ in range(2):
        run(tmp_path, prefix="a", force=True)
        assert {name: data for name, data in contents(tmp_path).items() if name in other} == other


def capture_and_die(folder, fatal):
    """Capture with --force in a child that dies at its `fatal`-th call to the disk; True if it did."""
    child = os.fork()
    if child == 0:
        die_at_disk_call(fatal)
        try:
            run(folder, force=True)
            os._exit(0)
        finally:
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -signal.SIGKILL)
    return code != 0


def test_a_forced_capture_that_is_killed_anywhere_leaves_nothing_that_the_next_keeps(tmp_path, whole):
    old = tmp_path / "old"
    run(old, seed=8, num_towns=2)
    before, fatal, out = contents(old), 1, tmp_path / "out"
    out.mkdir()
    while True:
        shutil.rmtree(out)
        out.mkdir()
        for name, data in before.items():
            (out / name).write_bytes(data)
        if not capture_and_die(out, fatal):
            break
        left = {name: data for name, data in contents(out).items() if not name.startswith(".")}
        assert validate_path(out).problems or left in (before, whole), f"killed at call {fatal}"
        run(out, force=True)
        assert contents(out) == whole, f"killed at call {fatal}"
        fatal += 4
    assert fatal > 40
