"""`train --force` removes what a run wrote and nothing else, and finishes what a kill left of that."""

import os

import pytest
from small_runs import run_small

from townlet_core.errors import InputError
from townlet_core.training.run_directory import (
    FIRST_FILES,
    REMOVING,
    check_removable,
    choose_folder,
    discard,
    end_removal,
    finish_removal,
    first_missing,
    is_run,
    name_of,
    remove_run,
)


def write(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def names_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


WRITTEN = (
    "run.json",
    "config.yaml",
    "config.sources.json",
    "scenario.yaml",
    "telemetry.jsonl",
    "telemetry.jsonl.1",
    "telemetry.jsonl.12",
    "telemetry.jsonl.13.gz",
    "telemetry.jsonl.14.zst",
    "not_finite.npz",
    "not_finite.json",
    "checkpoints/latest.json",
    "checkpoints/best.json",
    "checkpoints/g000012/model.pt",
    "checkpoints/g000012/files.json",
    "checkpoints/.g000013.tmp/optimizer.pt",
    "samples/rollout_sample_anna_001.npz",
    "samples/rollout_sample_a.b-c_1000.json",
    "samples/rollout_sample_manifest.json",
    "samples/rollout_sample_events.jsonl",
    "samples/.rollout_sample_anna_001.npz.0123abcd.tmp",
    "samples/.rollout_sample_blocks/plan.json",
    "samples/.rollout_sample_blocks/00001/anna_001.npz",
    "samples/.rollout_sample_blocks/00001.json",
    ".run.json.0123abcd.tmp",
)
FOREIGN = (
    "notes.md",
    "analysis.ipynb",
    "plots/reward.png",
    "telemetry.jsonl.bak",
    "config.yaml.orig",
    "checkpoints/mine/model.pt",
    "checkpoints/g000012/notes.md",
    "checkpoints/g12/model.pt",
    "samples/mine.npz",
    "samples/.other_blocks/plan.json",
    "samples/.rollout_sample_blocks/mine/notes.md",
    "samples/rollout_sample_.npz",
    "samples/deeper/rollout_sample_anna_001.npz",
    "deeper/run.json",
    ".hidden",
)


def test_what_a_run_wrote_goes_and_everything_else_stays(tmp_path):
    write(tmp_path, *WRITTEN, *FOREIGN)
    done = remove_run(tmp_path)
    end_removal(tmp_path)
    assert names_in(tmp_path) == sorted(FOREIGN)
    assert {"run.json", "checkpoints", "samples", "telemetry.jsonl.12"} <= set(done.removed)
    assert {"notes.md", "plots", "checkpoints/mine", "checkpoints/g000012/notes.md"} <= set(done.kept)


def test_everything_that_a_real_run_writes_is_recognised(tmp_path):
    run_small(tmp_path, cycles=1, log_max_bytes=1024)
    write(tmp_path, "run.json", *FIRST_FILES)
    assert remove_run(tmp_path).kept == []
    end_removal(tmp_path)
    assert names_in(tmp_path) == [".lock"]
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


@pytest.mark.parametrize("name", ["run.json", "checkpoints", "checkpoints/g000001", "samples", "config.yaml"])
def test_a_link_in_the_place_of_a_file_of_the_run_is_refused_and_nothing_is_removed(tmp_path, name):
    run, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    write(run, "run.json", "telemetry.jsonl")
    write(elsewhere, "latest.json", "model.pt")
    (run / name).parent.mkdir(exist_ok=True)
    (run / name).unlink(missing_ok=True)
    (run / name).symlink_to(elsewhere)
    before = names_in(run)
    with pytest.raises(InputError, match=f"{name}: is a link, which no run wrote"):
        check_removable(run, [])
    assert names_in(run) == before
    remove_run(run)  # and who removes all the same does not follow it
    assert names_in(elsewhere) == ["latest.json", "model.pt"]
    assert (run / name).is_symlink()


def test_a_folder_in_the_place_of_a_file_of_the_run_is_refused(tmp_path):
    write(tmp_path, "run.json", "telemetry.jsonl/mine.txt")
    with pytest.raises(InputError, match=r"telemetry\.jsonl: is a folder, which no run wrote"):
        check_removable(tmp_path, [])


def test_what_lists_files_goes_before_the_files(tmp_path, monkeypatch):
    write(tmp_path, *WRITTEN)
    gone = []
    monkeypatch.setattr("townlet_core.io.remove", lambda path: gone.append(str(path.relative_to(tmp_path))))
    remove_run(tmp_path)
    lists = {"checkpoints/latest.json", "checkpoints/best.json", "samples/rollout_sample_manifest.json"}
    assert set(gone[:3]) == lists


class Killed(BaseException):
    pass


@pytest.mark.parametrize("foreign", [(), ("notes.md",)])
def test_a_removal_killed_anywhere_is_finished_by_the_next_that_locks_the_folder(
    tmp_path, monkeypatch, foreign
):
    points = 0
    while True:
        run = tmp_path / str(points) / "run"
        write(run, ".lock", *WRITTEN, *foreign)
        left = points

        def killed_in_time(real):
            def call(*arguments, **options):
                nonlocal left
                left -= 1
                if left < 0:
                    raise Killed
                return real(*arguments, **options)

            return call

        with monkeypatch.context() as patch:
            for name in ("rename", "unlink", "rmdir", "fsync"):
                patch.setattr(os, name, killed_in_time(getattr(os, name)))
            try:
                remove_run(run)
            except Killed:
                pass
            else:
                break
        if not is_run(run):  # else it is as it was: nothing had been removed
            assert (run / REMOVING).exists()
            assert choose_folder(run, "", 0, force=True) == run
            if not foreign:
                assert choose_folder(run, "", 0, force=False) == run
            finish_removal(run)
            end_removal(run)
            assert names_in(run) == sorted([".lock", *foreign])
        assert [path.name for path in run.parent.iterdir()] == ["run"]
        points += 1
    assert points > len(WRITTEN)


def test_a_run_that_was_refused_is_taken_back_with_the_folders_made_for_it(tmp_path):
    run = tmp_path / "a" / "b" / "run"
    made = first_missing(run)
    assert made == tmp_path / "a"
    write(run, ".lock", "config.yaml", "run.json")
    discard(run, made)
    assert list(tmp_path.iterdir()) == []
    write(run, ".lock", "config.yaml", "run.json")
    write(tmp_path / "a", "notes.md")
    discard(run, made)
    assert names_in(tmp_path) == ["a/notes.md"]
    write(run, ".lock", "run.json")
    discard(run, first_missing(run))  # the folder was there before
    assert names_in(run) == [".lock"]


def test_a_folder_has_a_name_also_where_one_stands_in_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert name_of(choose_folder(type(tmp_path)("."), "", 0, force=False)) == tmp_path.name


def test_a_new_run_that_was_killed_while_it_began_is_begun_again_beside_what_was_kept(tmp_path):
    write(tmp_path, ".lock", *WRITTEN, "notes.md")
    remove_run(tmp_path)
    write(tmp_path, "config.yaml", ".run.json.0123abcd.tmp")  # of the new run
    assert choose_folder(tmp_path, "", 0, force=True) == tmp_path
    finish_removal(tmp_path)
    write(tmp_path, "config.yaml", "run.json")  # it has begun now
    finish_removal(tmp_path)
    assert is_run(tmp_path)
    end_removal(tmp_path)
    assert names_in(tmp_path) == [".lock", "config.yaml", "notes.md", "run.json"]
