"""Shards of an evaluation: any number of them, played and killed anywhere, measure what one machine does."""

import os
import random
import signal

import pytest
from dying import die_at_disk_call

from townlet_core import evaluate_shards, io
from townlet_core.capture.rollout import scripted_policy
from townlet_core.errors import BusyError, InputError
from townlet_core.evaluate import evaluate
from townlet_core.evaluate_shards import merge_shards, plan_evaluation, shard_path, write_shard
from townlet_core.measures.table import estimate_measures
from townlet_core.policy.learned import LearnedPolicy, network_for
from townlet_core.policy.scripted import ScriptedPolicy
from townlet_core.ppo.network import ActorCritic
from townlet_core.scenario.load import load_scenario

QUEUE = load_scenario("queue_conflict")
RULES = QUEUE.rules.model_copy(
    update={"needs": QUEUE.rules.needs.model_copy(update={"hunger_decay": 0.1, "respawn_delay_ticks": 3})}
)
TOWN = QUEUE.model_copy(update={"rules": RULES, "ticks": 12})  # in which everybody faints
EPISODES, SEED = 200, 7  # in seven blocks, of which the last is smaller


def people():
    """A script, chance, and a network by chance and by the most probable action."""
    network = ActorCritic(network_for(TOWN, 8), 0)
    return [
        ("scripted", scripted_policy("scripted", TOWN)),
        ("random", scripted_policy("random", TOWN)),
        ("runs/a", LearnedPolicy(network)),
        ("runs/a", LearnedPolicy(network, deterministic=True)),
    ]


SCRIPT = people()[:1]


def play(folder, number, count, policies=SCRIPT, episodes=EPISODES, seed=SEED, scenario=TOWN, **more):
    """Play a shard; returns its path and whether that was needed."""
    shard = (number, count) if count else None
    plan = plan_evaluation(scenario, "town.yaml", policies, episodes, seed, shard)
    written = write_shard(scenario, [policy for _, policy in policies], plan, folder, **more)
    return shard_path(folder, plan), written


def merge(paths):
    plan, played = merge_shards(paths)
    return plan, [estimate_measures(values) for values in played]


@pytest.fixture(scope="module")
def whole():
    return [evaluate(TOWN, policy, EPISODES, SEED) for _, policy in people()]


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_merged_shards_measure_what_one_machine_does_to_the_bit(count, whole, tmp_path):
    numbers = list(range(1, count + 1))
    random.Random(count).shuffle(numbers)
    paths = [play(tmp_path / f"{number % 2}", number, count, people())[0] for number in numbers]
    plan, merged = merge(paths)
    assert merged == whole
    assert merged[0]["faints"].low > 0
    assert plan == plan_evaluation(TOWN, "town.yaml", people(), EPISODES, SEED)


def test_a_shard_that_is_there_is_not_played_again_until_forced(tmp_path):
    path, written = play(tmp_path, 2, 3)
    before = io.file_identity(path)
    assert (written, play(tmp_path, 2, 3)[1], io.file_identity(path)) == (True, False, before)
    assert play(tmp_path, 2, 3, force=True)[1]
    assert io.file_identity(path) != before


class Acting(ScriptedPolicy):
    """A script that does something else as well at its n-th tick."""

    def __init__(self, tick, act):
        super().__init__(TOWN)
        self.left, self.also = tick, act

    def act(self, towns, seen):
        self.left -= 1
        if self.left == 0:
            self.also()
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


def test_a_shard_that_is_killed_leaves_nothing_to_merge_and_is_played_again(whole, tmp_path):
    killing = [("scripted", Acting(18, lambda: os.kill(os.getpid(), signal.SIGKILL)))]
    play(tmp_path, 1, 2)
    assert in_child(lambda: play(tmp_path, 2, 2, killing))
    with pytest.raises(InputError, match="shards are missing: 2/2"):
        merge([tmp_path])
    assert play(tmp_path, 2, 2)[1]
    assert merge([tmp_path])[1] == whole[:1]


def test_a_shard_that_is_killed_at_any_call_to_the_disk_is_whole_or_not_there(tmp_path):
    def dying(fatal):
        die_at_disk_call(fatal)
        play(folder, 1, 1, episodes=2)

    expected = play(tmp_path / "whole", 1, 1, episodes=2)[0].read_bytes()
    for fatal in range(1, 100):
        folder = tmp_path / f"{fatal}"
        is_killed = in_child(lambda: dying(fatal))  # noqa: B023
        shards = list(folder.glob("evaluation*"))
        assert [path.read_bytes() for path in shards] in ([], [expected])
        assert play(folder, 1, 1, episodes=2)[1] == (shards == [])
        assert [path.name for path in folder.iterdir()] == ["evaluation-00001-of-00001.parquet"]
        if not is_killed:
            break
    assert 5 < fatal < 99


def test_the_second_of_two_workers_on_a_shard_is_refused_and_leaves_the_first_alone(whole, tmp_path):
    refused = []

    def play_as_well():
        with pytest.raises(BusyError, match=f"another process is writing to it \\(pid {os.getpid()}"):
            play(tmp_path, 1, 1)
        refused.append(list(tmp_path.glob("*.parquet")))

    assert play(tmp_path, 1, 1, [("scripted", Acting(5, play_as_well))])[1]
    assert refused == [[]]
    assert not play(tmp_path, 1, 1)[1]
    assert merge([tmp_path])[1] == whole[:1]


def test_many_workers_that_begin_at_once_write_one_shard(whole, tmp_path):
    def work():
        os.read(begin, 1)
        try:
            os.write(results, b"played" if play(tmp_path, 1, 1)[1] else b"there")
        except BusyError:
            os.write(results, b"busy")
        os._exit(0)

    (begin, start), (ends, results) = os.pipe(), os.pipe()
    children = [child for _ in range(3) if (child := os.fork()) or work()]
    os.write(start, b"...")
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    assert os.read(ends, 100).count(b"played") == 1
    assert merge([tmp_path])[1] == whole[:1]


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        ({"seed": 8}, "its seed is 7, expected 8"),
        ({"episodes": 224}, "its episodes is 200, expected 224"),
        ({"policies": people()[1:2]}, r"its policies is \['scripted'\], expected \['random'\]"),
        ({"scenario": QUEUE}, "its scenario_sha256 is "),
    ],
)
def test_another_evaluation_in_the_place_of_a_shard_is_refused_until_forced(other, difference, tmp_path):
    path, _ = play(tmp_path, 1, 2)
    before = path.read_bytes()
    with pytest.raises(InputError, match=difference) as caught:
        play(tmp_path, 1, 2, **other)
    assert (caught.value.hint.endswith("--force"), path.read_bytes()) == (True, before)
    assert play(tmp_path, 1, 2, **other, force=True)[1]
    assert not play(tmp_path, 1, 2, **other)[1]


def test_shards_that_are_not_one_evaluation_are_refused_by_name(tmp_path, monkeypatch):
    one, two, three = (play(tmp_path / "a", number, 3)[0] for number in (1, 2, 3))
    seed = play(tmp_path / "seed", 2, 3, seed=8)[0]
    weights = play(tmp_path / "weights", 2, 3, [("scripted", people()[2][1])])[0]
    half = play(tmp_path / "half", 2, 2)[0]
    (tmp_path / "empty").mkdir()
    for paths, said in (
        ([one, three], "shards are missing: 2/3"),
        ([one, two, three, two], "2-of-00003.parquet and .*2-of-00003.parquet are both shard 2/3"),
        ([one, seed, three], "of different evaluations: seed is 7 in the first, 8 in the second"),
        (
            [one, weights, three],
            r"behaviours is \['scripted'\] in the first, \['[0-9a-f]{64}'\] in the second",
        ),
        ([one, half], "number of shards is 3 in the first, 2 in the second"),
        ([tmp_path / "empty"], "empty: holds no shard of an evaluation"),
    ):
        with pytest.raises(InputError, match=said):
            merge(paths)
    monkeypatch.setattr(evaluate_shards, "__version__", "9.9.9")
    with pytest.raises(InputError, match=r"was played by townlet '0.1.0', and this is 9.9.9"):
        merge([one, two, three])


def test_a_shard_that_has_changed_is_refused(tmp_path):
    path, _ = play(tmp_path, 1, 1, episodes=3)
    data, draw = path.read_bytes(), random.Random(0)
    expected = merge([path])
    flipped = bytearray(data)
    refused = 0
    for _ in range(300):
        place, bit = draw.randrange(len(data)), 1 << draw.randrange(8)
        flipped[place] ^= bit
        path.write_bytes(flipped)
        flipped[place] ^= bit
        try:
            merged = merge([path])
        except InputError:
            refused += 1
        else:  # the bit meant nothing
            assert merged == expected
    assert refused > 100
    for text in (b"", b"mine", data[:-1], data[: len(data) // 2]):
        path.write_bytes(text)
        with pytest.raises(InputError, match="parquet: is no shard of an evaluation, or damaged"):
            merge([path])
        with pytest.raises(InputError, match="or damaged"):
            play(tmp_path, 1, 1, episodes=3)


@pytest.mark.parametrize(
    ("episodes", "shard", "said"),
    [
        (64, (1, 3), "shard 1/3: 64 episodes are 2 blocks of 32, expected at most 2 shards"),
        (64, (3, 2), "shard 3/2: "),
        (64, (0, 2), "shard 0/2: "),
        (1, (1, 1), "episodes: 1, expected at least 2"),
        (64, (0, None), "the plan is of a whole evaluation, expected one of a shard"),
    ],
)
def test_what_is_no_shard_is_refused_and_leaves_nothing(episodes, shard, said, tmp_path):
    with pytest.raises(InputError, match=said):
        play(tmp_path, *shard, episodes=episodes)
    assert list(tmp_path.iterdir()) == []
