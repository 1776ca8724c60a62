"""Runs are found below folders, measured, and compared by what decides about their results."""

import pytest

from townlet_core.errors import InputError, MissingFileError
from townlet_core.runs.compare import UNKNOWN, compare_runs
from townlet_core.runs.finding import disk_use, find_runs
from townlet_core.runs.reading import read_run_folder


def names(runs):
    return [one.run.folder.name for one in runs.found]


def test_runs_are_found_at_any_depth_once_the_newest_first(make_run, tmp_path, set_age):
    for days, name in enumerate(("new", "sweep/lr/old", "mid"), start=1):
        set_age(make_run(name), days if name != "mid" else 1.5)
    assert names(find_runs([tmp_path, tmp_path / "mid"])) == ["new", "mid", "old"]


def test_links_and_hidden_folders_are_not_searched(make_run, tmp_path):
    make_run(".trash/run")
    (tmp_path / "link").symlink_to(make_run("elsewhere/run").parent)
    assert names(find_runs([tmp_path])) == ["run"]
    assert names(find_runs([tmp_path / "link"])) == ["run"]  # a folder that is named is searched


def test_a_damaged_run_does_not_hide_the_others(make_run, tmp_path):
    make_run("sound")
    (make_run("damaged") / "run.json").write_bytes(b"{")
    runs = find_runs([tmp_path])
    assert names(runs) == ["sound"]
    [(folder, reason)] = runs.unreadable
    assert folder.name == "damaged"
    assert "not JSON" in reason


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(MissingFileError, match="no such folder"):
        find_runs([tmp_path / "runs"])


def test_disk_use_counts_what_the_run_wrote_and_names_the_rest(make_run):
    folder = make_run()
    (folder / "notes.md").write_bytes(b"x" * 1000)
    disk = disk_use(folder)
    own = [path for path in folder.rglob("*") if path.is_file() and path.name not in ("notes.md", ".lock")]
    assert disk.total == sum(path.stat().st_size for path in own)
    assert disk.bytes["telemetry"] == (folder / "telemetry.jsonl").stat().st_size
    assert min(disk.bytes.values()) > 0
    assert disk.others == ["notes.md"]


def test_the_differences_of_runs_are_their_settings_and_their_context(make_run):
    first = make_run("first")
    second = make_run("second", settings={"learning_rate": 0.01, "seed": 8}, git="abc", torch_threads=1)
    third = make_run("third", settings={"seed": 8}, git="abc", torch_threads=1)
    found = compare_runs([read_run_folder(folder) for folder in (first, second, third)])
    assert {one.name: one.values for one in found.settings} == {
        "seed": (7, 8, 8),
        "learning_rate": (0.0003, 0.01, 0.0003),
    }
    assert {one.name: one.values[1:] for one in found.context if one.name == "git"} == {"git": ("abc", "abc")}
    assert found.equal == len(found.runs[0].settings) - 2


def test_a_setting_that_a_run_does_not_know_differs_from_null(make_run):
    old, new = read_run_folder(make_run("old")), read_run_folder(make_run("new"))
    del old.settings["rollout_ticks"]
    assert new.settings["rollout_ticks"] == 50
    new.settings["rollout_ticks"] = None
    [one] = compare_runs([old, new]).settings
    assert (one.name, one.values) == ("rollout_ticks", (UNKNOWN, None))


def test_one_run_cannot_be_compared(make_run):
    with pytest.raises(InputError, match="at least two"):
        compare_runs([read_run_folder(make_run())])
