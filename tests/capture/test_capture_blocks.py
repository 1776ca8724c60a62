"""Blocks: any number of processes and kills writes the bytes of one process that nobody disturbs."""

import os
import signal

import pytest
from dying import die_at_disk_call

from townlet_core.capture import settings as capture_settings
from townlet_core.capture.capture import refuse_existing_capture, write_capture
from townlet_core.capture.join import join_shards
from townlet_core.capture.settings import CaptureSettings
from townlet_core.errors import InputError, RunFailed
from townlet_core.policy.learned import LearnedPolicy
from townlet_core.policy.loading import fresh_network
from townlet_core.policy.scripted import ScriptedPolicy
from townlet_core.replay.validate import validate_path
from townlet_core.scenario.load import load_scenario

CONFLICT = load_scenario("queue_conflict")
TICKS, TOWNS = 6, 8  # in blocks of 3, 3 and 2 towns
FORMS = ("npz", "arrow")
HIDDEN = ".rollout_sample_blocks"


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(capture_settings, "BLOCK_TRANSITIONS", 3 * TICKS * 3)


def run(folder, policy=None, force=False, workers=1, **settings):
    chosen = CaptureSettings(**{"ticks": TICKS, "num_towns": TOWNS, "seed": 7, **settings})
    acting = policy or ScriptedPolicy(CONFLICT)
    return write_capture(CONFLICT, acting, chosen, folder, force=force, workers=workers)


def contents(folder):
    """Name and bytes of everything in a folder, the lock left out."""
    paths = [path for path in folder.glob("*") if path.name != ".lock"]
    return {path.name: path.read_bytes() if path.is_file() else None for path in paths}


@pytest.fixture(params=FORMS)
def form(request):
    return request.param


@pytest.fixture
def whole(form, tmp_path):
    """What one process writes that nobody disturbs."""
    run(tmp_path / "whole", format=form)
    return contents(tmp_path / "whole")


def test_the_capture_of_some_blocks_is_sound(form, whole, tmp_path):
    assert len(whole) == (2 * 3 * TOWNS if form == "npz" else 2 * 3) + 4
    report = validate_path(tmp_path / "whole")
    assert (report.samples, report.findings) == (3 * TOWNS, [])


def test_processes_do_not_change_the_bytes(form, whole, tmp_path):
    run(tmp_path / "two", workers=2, format=form)
    assert contents(tmp_path / "two") == whole


def test_towns_do_not_depend_on_the_blocks_they_are_in(tmp_path, monkeypatch):
    run(tmp_path / "a")
    monkeypatch.setattr(capture_settings, "BLOCK_TRANSITIONS", 10**6)
    run(tmp_path / "b")
    first, second = contents(tmp_path / "a"), contents(tmp_path / "b")
    assert {n: d for n, d in first.items() if "metrics" not in n and "manifest" not in n} == {
        n: d for n, d in second.items() if "metrics" not in n and "manifest" not in n
    }


def test_a_town_of_a_learned_policy_is_the_same_among_any_others(tmp_path):
    policy = LearnedPolicy(fresh_network(CONFLICT, 3))
    settings = {"behaviour": "x", "value_source": "x"}
    run(tmp_path / "one", policy, num_towns=1, **settings)
    run(tmp_path / "all", policy, **settings)
    alone, among = contents(tmp_path / "one"), contents(tmp_path / "all")
    samples = [name for name in alone if "_00" in name]
    assert len(samples) == 6
    assert all(alone[name] == among[name] for name in samples)


class Killing(ScriptedPolicy):
    """A script that kills its process at its n-th tick."""

    def __init__(self, ticks):
        super().__init__(CONFLICT)
        self.left = ticks

    def act(self, towns, seen):
        self.left -= 1
        if self.left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().act(towns, seen)


def in_child(act):
    """Do something in a child; True if it was killed."""
    child = os.fork()
    if child == 0:
        try:
            act()
            os._exit(0)
        finally:
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -signal.SIGKILL)
    return code != 0


def test_a_capture_killed_inside_a_block_continues_with_the_finished_ones(form, whole, tmp_path):
    out = tmp_path / "out"
    ticks = TICKS + TICKS // 2  # the first block and a half
    assert in_child(lambda: run(out, Killing(ticks), format=form))
    assert contents(out) == {HIDDEN: None}
    settings = CaptureSettings(ticks=TICKS, num_towns=TOWNS, seed=7, format=form)
    assert refuse_existing_capture(CONFLICT, settings, out, force=False).samples == {}
    assert not in_child(lambda: run(out, Killing(2 * TICKS), format=form))  # two blocks are left
    assert contents(out) == whole


def test_a_capture_killed_at_any_call_to_the_disk_ends_with_the_same_bytes(form, whole, tmp_path):
    def capture(fatal):
        die_at_disk_call(fatal)
        run(out, format=form)

    fatal = 1
    while True:
        out = tmp_path / f"{fatal}"
        is_killed = in_child(lambda: capture(fatal))  # noqa: B023
        left = {name: data for name, data in contents(out).items() if not name.startswith(".")}
        assert left == whole or not out.exists() or validate_path(out).problems, f"killed at call {fatal}"
        run(out, format=form)
        assert contents(out) == whole, f"killed at call {fatal}"
        if not is_killed:
            break
        fatal += 17 if form == "npz" else 7
    assert fatal > 60


def test_joining_that_is_killed_continues(form, whole, tmp_path):
    def join(fatal):
        die_at_disk_call(fatal)
        join_shards(folders, out)

    folders = [tmp_path / "s1", tmp_path / "s2"]
    for number, folder in enumerate(folders, 1):
        run(folder, format=form, shard=(number, 2))
    for fatal in (2, 9, 20, 33):
        out = tmp_path / f"{fatal}"
        assert in_child(lambda: join(fatal))  # noqa: B023
        join_shards(folders, out)
        assert contents(out) == whole, f"killed at call {fatal}"


class Fragile(ScriptedPolicy):
    """A script that kills every process but the one it was made in."""

    def __init__(self):
        super().__init__(CONFLICT)
        self.home = os.getpid()

    def act(self, towns, seen):
        if os.getpid() != self.home:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().act(towns, seen)


def test_a_dead_worker_is_one_error_and_the_capture_can_continue(tmp_path):
    run(tmp_path / "whole")
    with pytest.raises(RunFailed, match="a worker process of the capture died"):
        run(tmp_path / "out", Fragile(), workers=2)
    run(tmp_path / "out")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_a_policy_that_cannot_be_sent_to_workers_is_refused(tmp_path):
    policy = ScriptedPolicy(CONFLICT)
    policy.secret = lambda: None
    with pytest.raises(InputError, match="the policy cannot be sent to worker processes") as caught:
        run(tmp_path, policy, workers=2)
    assert caught.value.hint == "capture with one worker"


def test_another_capture_that_is_not_finished_is_refused_until_forced(tmp_path):
    assert in_child(lambda: run(tmp_path, Killing(TICKS)))
    before = contents(tmp_path)
    for settings, said in (
        ({"num_towns": 9}, "its towns is 8, expected 9"),
        ({"format": "arrow"}, "its format is 'npz', expected 'arrow'"),
        ({"seed": 8}, "its seed is 7, expected 8"),
        ({"shard": (1, 2)}, "its shard is None, expected \\[1, 2\\]"),
    ):
        with pytest.raises(InputError, match=f"holds another capture, not finished: {said}"):
            run(tmp_path, **settings)
    assert contents(tmp_path) == before
    run(tmp_path, force=True, num_towns=1)
    assert len(contents(tmp_path)) == 6 + 4


def test_blocks_of_another_version_are_played_again(tmp_path, monkeypatch):
    run(tmp_path / "whole")
    with monkeypatch.context() as older:
        older.setattr(capture_settings, "__version__", "0.0.1")
        assert in_child(lambda: run(tmp_path / "out", Killing(TICKS)))
    run(tmp_path / "out")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_arrow_shards_of_a_capture_are_replaced_with_force_and_other_files_kept(tmp_path):
    run(tmp_path / "whole", format="arrow", num_towns=1)
    run(tmp_path / "out", format="arrow", seed=8)
    (tmp_path / "out" / "mine.arrow").write_bytes(b"mine")
    (tmp_path / "out" / "rollout_sample_00002_samples.arrow").write_bytes(b"")
    with pytest.raises(InputError, match=r"00001\.arrow: is of another capture: its seed is 8, expected 7"):
        run(tmp_path / "out", format="arrow", num_towns=1)
    run(tmp_path / "out", format="arrow", num_towns=1, force=True)
    assert contents(tmp_path / "out") == {**contents(tmp_path / "whole"), "mine.arrow": b"mine"}


def test_a_file_with_the_name_of_a_shard_and_no_shards_content_is_refused(tmp_path):
    (tmp_path / "rollout_sample_00001.arrow").write_bytes(b"mine")
    with pytest.raises(InputError, match="has the name of a shard, but not its content"):
        run(tmp_path, force=True)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"format": "zip"}, "format 'zip': expected npz, arrow"),
        ({"format": "arrow", "compression": "zst"}, "expected zstd, lz4, none \\(did you mean 'zstd'\\?\\)"),
        ({"format": "arrow", "compress": True}, "compress is for NPZ files"),
        (
            {"num_towns": 20_000},
            "at least 60,000 samples, expected at most 40,000 as NPZ files",
        ),
        ({"shard": (4, 4)}, "shard 4/4: 8 towns are 3 blocks, expected at most 3 shards"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, said, tmp_path):
    with pytest.raises(InputError, match=said):
        run(tmp_path / "out", **settings)
    assert not (tmp_path / "out").exists()


def test_the_command_says_that_it_continues(townlet, tmp_path):
    assert in_child(lambda: run(tmp_path, Killing(TICKS), epsilon=CONFLICT.rules.epsilon))
    words = ("capture", "queue_conflict", "--ticks", TICKS, "--towns", TOWNS, "--output", tmp_path)
    code, _, err = townlet(*words)
    assert (code, "3 of 8 towns are finished" in err) == (0, True)
    assert validate_path(tmp_path).findings == []


def test_compression_of_npz_files_is_refused_with_the_other_option(townlet, tmp_path):
    code, _, err = townlet("capture", "queue_conflict", "--compression", "lz4", "--output", tmp_path / "c")
    assert (code, "compression is for shards" in err, "--compress" in err) == (2, True, True)
