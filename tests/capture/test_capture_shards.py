"""Shards of a capture: any number of them, played anywhere, are joined to the bytes of one capture."""

import json
import os
import signal

import pytest

from townlet_core.capture import settings as capture_settings
from townlet_core.capture.capture import write_capture
from townlet_core.capture.join import is_capture_shard, join_shards
from townlet_core.capture.session import capture
from townlet_core.capture.settings import CaptureSettings
from townlet_core.errors import BusyError, InputError, SampleError
from townlet_core.locks import lock_folder
from townlet_core.policy.scripted import ScriptedPolicy
from townlet_core.replay.validate import validate_path
from townlet_core.scenario.load import load_scenario

CONFLICT = load_scenario("queue_conflict")
NEEDS = CONFLICT.rules.needs.model_copy(update={"hunger_decay": 0.2, "respawn_delay_ticks": 2})
HUNGRY = CONFLICT.model_copy(update={"rules": CONFLICT.rules.model_copy(update={"needs": NEEDS})})
TICKS, TOWNS = 9, 7  # each in a block of its own


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(capture_settings, "BLOCK_TRANSITIONS", TICKS * 3)


def run(folder, policy=None, force=False, scenario=CONFLICT, **settings):
    chosen = CaptureSettings(**{"ticks": TICKS, "num_towns": TOWNS, "seed": 7, **settings})
    return write_capture(scenario, policy or ScriptedPolicy(scenario), chosen, folder, force=force)


def contents(folder):
    """Name and bytes of every file in a folder, the lock left out."""
    return {path.name: path.read_bytes() for path in folder.glob("*") if path.name != ".lock"}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"compress": True, "agent": "ben"},
        {"format": "arrow", "compression": "lz4"},
        {"format": "arrow", "agent": "anna"},
    ],
    ids=["npz", "compressed, one agent", "arrow", "arrow, one agent"],
)
def test_joined_shards_are_the_bytes_of_one_capture(settings, tmp_path, monkeypatch):
    if "agent" in settings:
        monkeypatch.setattr(capture_settings, "BLOCK_TRANSITIONS", TICKS)
    one = run(tmp_path / "one", scenario=HUNGRY, **settings)
    assert one.totals["faint_events"] > 0
    for count in (1, 2, 3, 7):
        folders = [tmp_path / f"{count}" / f"{number}" for number in range(count, 0, -1)]
        for number, folder in zip(range(count, 0, -1), folders, strict=True):
            run(folder, scenario=HUNGRY, shard=(number, count), **settings)
            assert is_capture_shard(folder)
        joined = join_shards(folders, tmp_path / f"{count}" / "all")
        assert contents(tmp_path / f"{count}" / "all") == contents(tmp_path / "one")
        assert joined.totals == one.totals
    assert validate_path(folders[0]).findings == []
    assert not is_capture_shard(tmp_path / "7" / "all")


class Acting(ScriptedPolicy):
    """A script that does something else as well at every tick."""

    def __init__(self, act):
        super().__init__(CONFLICT)
        self.also = act

    def act(self, towns, seen):
        self.also()
        return super().act(towns, seen)


@pytest.mark.parametrize("form", ["npz", "arrow"])
def test_a_shard_that_is_there_is_not_played_again_until_forced(form, tmp_path):
    played = []
    policy = Acting(lambda: played.append(1))
    first = run(tmp_path, policy, shard=(2, 3), format=form)
    before, ticks = contents(tmp_path), len(played)
    assert run(tmp_path, policy, shard=(2, 3), format=form) == first
    assert (len(played), contents(tmp_path)) == (ticks, before)
    run(tmp_path, policy, shard=(2, 3), format=form, force=True)
    assert (len(played), contents(tmp_path)) == (2 * ticks, before)


def test_a_shard_that_lost_its_manifest_is_played_again(tmp_path):
    run(tmp_path, shard=(1, 2))
    before = contents(tmp_path)
    (tmp_path / "rollout_sample_manifest.json").unlink()
    run(tmp_path, shard=(1, 2))
    assert contents(tmp_path) == before


def test_another_shard_in_its_place_is_refused_until_forced(tmp_path):
    settings = {"ticks": TICKS, "towns": TOWNS}
    capture("queue_conflict", tmp_path / "a", shard="1/2", **settings)
    before = contents(tmp_path / "a")
    for other in ({"shard": "2/2"}, {"shard": "1/3"}, {"shard": "1/2", "seed": 8}, {}):
        with pytest.raises(InputError, match="already exists"):
            capture("queue_conflict", tmp_path / "a", **settings, **other)
    assert contents(tmp_path / "a") == before
    capture("queue_conflict", tmp_path / "a", shard="1/2", seed=8, force=True, **settings)
    assert contents(tmp_path / "a") != before


def test_the_second_of_two_workers_on_a_shard_is_refused_and_leaves_the_first_alone(tmp_path):
    refused = []

    def play_as_well():
        with pytest.raises(BusyError, match=f"another process is writing here \\(pid {os.getpid()}"):
            run(tmp_path / "a", shard=(1, 2))
        refused.append(1)

    run(tmp_path / "a", Acting(play_as_well), shard=(1, 2))
    run(tmp_path / "b", shard=(1, 2))
    assert refused
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_a_shard_that_is_killed_is_no_shard_and_continues(tmp_path):
    left = iter(range(TICKS + TICKS // 2))  # the first town of the shard and a half
    kill = Acting(lambda: next(left, None) is None and os.kill(os.getpid(), signal.SIGKILL))
    run(tmp_path / "1", shard=(1, 2))
    if not (child := os.fork()):
        run(tmp_path / "2", kill, shard=(2, 2))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    with pytest.raises(InputError, match="2: holds no shard of a capture"):
        join_shards([tmp_path / "1", tmp_path / "2"], tmp_path / "all")
    run(tmp_path / "2", shard=(2, 2))
    run(tmp_path / "one")
    join_shards([tmp_path / "1", tmp_path / "2"], tmp_path / "all")
    assert contents(tmp_path / "all") == contents(tmp_path / "one")


def test_shards_that_do_not_fit_are_refused_by_name(tmp_path):
    for number in (1, 2, 3):
        run(tmp_path / f"{number}", shard=(number, 3))
    run(tmp_path / "seed", shard=(2, 3), seed=8)
    run(tmp_path / "two", shard=(2, 2))
    run(tmp_path / "plain")
    one, two, three = (tmp_path / f"{number}" for number in (1, 2, 3))
    for folders, said in (
        ([], "no shards to join"),
        ([one, three], "shards are missing: 2/3"),
        ([one, two, three, two], "2 and .*2 are both shard 2/3"),
        ([one, tmp_path / "seed", three], "of different captures: seed is 7 in the first, 8 in the second"),
        ([one, tmp_path / "two"], "number of shards is 3 in the first, 2 in the second"),
        ([one, two, tmp_path / "plain"], "plain: holds no shard of a capture"),
    ):
        with pytest.raises(InputError, match=said):
            join_shards(folders, tmp_path / "out")
    with pytest.raises(InputError, match="is one of the shards"):
        join_shards([one, two, three], two, force=True)
    with pytest.raises(InputError, match="already exists"):
        join_shards([one, two, three], tmp_path / "plain")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "ending", ["events.jsonl", "metrics.json", "shard.json", "anna_001.npz", "ben_002.json"]
)
def test_a_shard_that_has_changed_is_refused(ending, tmp_path):
    run(tmp_path / "1", shard=(1, 1))
    path = tmp_path / "1" / f"rollout_sample_{ending}"
    path.write_bytes(path.read_bytes().replace(b"1", b"2"))
    with pytest.raises((SampleError, InputError), match=ending.replace(".", r"\.")):
        join_shards([tmp_path / "1"], tmp_path / "out")
    assert not (tmp_path / "out" / "rollout_sample_manifest.json").exists()


def test_the_commands_capture_shards_and_merge_joins_them(townlet, tmp_path):
    words = ("capture", "queue_conflict", "--ticks", TICKS, "--towns", TOWNS, "--format", "arrow")
    code, said, _ = townlet(*words, "--output", tmp_path / "whole", "--json")
    assert (code, [entry["sample_count"] for entry in json.loads(said)["shards"]]) == (0, [3] * 7)
    for number in (1, 2):
        shard = ("--shard", f"{number}/2", "--output", tmp_path / f"{number}")
        code, _, err = townlet(*words, *shard)
        assert (code, "next: townlet replay merge" in err) == (0, True)
    code, said, _ = townlet(
        "replay", "merge", tmp_path / "2", tmp_path / "1", "--output", tmp_path / "joined"
    )
    assert (code, "joined 2 shards" in said) == (0, True)
    assert contents(tmp_path / "joined") == contents(tmp_path / "whole")
    code, _, err = townlet("replay", "merge", tmp_path / "1", "--output", tmp_path / "one")
    assert (code, "shards are missing: 2/2" in err) == (2, True)
    code, _, err = townlet("replay", "merge", tmp_path / "1", "--output", tmp_path / "one", "--format", "npz")
    assert (code, "--format does not apply to the shards of a capture" in err) == (2, True)


def test_the_command_says_that_a_shard_is_there_and_prints_what_it_printed_first(townlet, tmp_path):
    words = ("capture", "queue_conflict", "--ticks", TICKS, "--towns", TOWNS, "--shard", "2/2")
    for form in ("npz", "arrow"):
        shard = (*words, "--format", form, "--output", tmp_path / form)
        code, first, _ = townlet(*shard, "--json")
        before = contents(tmp_path / form)
        assert code == 0
        assert townlet(*shard, "--json", "-q") == (0, first, "")
        code, said, talk = townlet(*shard)
        assert (code, f"{tmp_path / form}: shard 2/2 is there already, and was not played again" in talk) == (
            0,
            True,
        )
        assert "manifest: " in said
        assert "would play no towns of 9 ticks" in townlet(*shard, "--dry-run")[1]
        assert contents(tmp_path / form) == before
    with lock_folder(tmp_path / "new"):
        assert townlet(*words, "--output", tmp_path / "new")[0] == 73
