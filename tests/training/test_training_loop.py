"""Cycles: one network through all of them, every epoch told, counts that agree with the events."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import orjson
import pytest
import torch
from small_runs import run_small, settings_of, trainer_of

from townlet_core.capture.capture import CaptureSettings, write_capture
from townlet_core.errors import InputError, RunFailed
from townlet_core.policy.learned import RELEASE_ODDS
from townlet_core.policy.scripted import ScriptedPolicy
from townlet_core.ppo.checkpoint import load_checkpoint
from townlet_core.ppo.network import masked_log_probs, score_actions
from townlet_core.ppo.serialization import weights_sha256
from townlet_core.replay.events import load_events
from townlet_core.scenario.load import load_scenario
from townlet_core.telemetry.fields import OF_BATCH, REWARD_TERM_FIELDS
from townlet_core.telemetry.validate import LogCheck
from townlet_core.training.reports import Reports
from townlet_core.vocab import ACTION_COUNT, RELEASE, REWARD_TERMS, WAIT

REFERENCE = Path(__file__).resolve().parents[1] / "data" / "reference" / "captures"


def read_log(folder: Path) -> list[dict]:
    return [orjson.loads(line) for line in (folder / "telemetry.jsonl").read_bytes().splitlines()]


@pytest.mark.parametrize(
    ("source", "modes"),
    [("replay", ["replay"] * 2), ("rollout", ["rollout"] * 2), ("mixed", ["replay"] * 2 + ["rollout"] * 2)],
)
def test_each_epoch_of_each_cycle_has_a_valid_record_with_its_data_mode(tmp_path, source, modes):
    run_small(tmp_path, source=source)
    records = read_log(tmp_path)
    assert [record["data_mode"] for record in records] == modes * 3
    assert [record["epoch"] for record in records] == list(range(1, len(modes) * 3 + 1))
    assert list(LogCheck(tmp_path / "telemetry.jsonl").problems()) == []


def test_the_same_network_and_optimiser_go_through_all_cycles(tmp_path):
    trainer = trainer_of(tmp_path, settings_of(cycles=4))
    network, optimizer = trainer.network, trainer.optimizer
    digests = {weights_sha256(network)}
    trainer.reports = Reports(cycle=lambda end: digests.add(weights_sha256(network)))
    trainer.run()
    assert trainer.network is network
    assert len(digests) == 5  # the first weights, and other ones after each cycle
    # 4 cycles × 2 halves × 2 epochs × 2 minibatches
    assert {state["step"].item() for state in optimizer.state.values()} == {32.0}


def test_statistics_count_every_transition_and_the_look_around_leaves_the_towns_as_they_were(tmp_path):
    trainer = trainer_of(
        tmp_path,
        settings_of(source="rollout", cycles=2, normalise_observations=True, normalise_returns=True),
    )
    before, dumps = trainer.rollout.dump(), []
    play = trainer.rollout.play
    trainer.rollout.play = lambda *given: dumps.append(trainer.rollout.dump()) or play(*given)
    trainer.run()
    assert dumps[:2] == [before, before]  # to look around, and to learn
    # Two cycles, and the look around, were one rollout each.
    size = trainer.rollout.frames.actions.size
    assert trainer.network.returns.count == trainer.network.observations.count == size * 3


@pytest.fixture(params=[False, True])
def watched(tmp_path, request):
    """A trainer, with running statistics or not, and the weights that acted in each of its rollouts."""
    trainer = trainer_of(
        tmp_path, settings_of(source="rollout", cycles=4, normalise_observations=request.param)
    )
    play, acted = trainer.rollout.play, []

    def watch(policy, *given):
        acted.append(weights_sha256(policy.network))
        return play(policy, *given)

    trainer.rollout.play = watch
    return trainer, acted


def test_the_network_that_learns_is_the_one_that_acts(watched, tmp_path):
    trainer, acted = watched
    learned = [weights_sha256(trainer.network)]
    trainer.reports = Reports(cycle=lambda end: learned.append(weights_sha256(trainer.network)))
    trainer.run()
    assert acted[-3:] == learned[1:-1]  # before them, the first one acts, perhaps also to look around
    assert len(set(acted[-4:])) == 4


def test_the_best_checkpoint_is_the_one_that_was_paid_most(watched, tmp_path):
    trainer, acted = watched
    trainer.run()
    paid = {record["cycle_id"]: record["reward_mean"] for record in read_log(tmp_path)}
    best = load_checkpoint(tmp_path / "checkpoints" / "best.json")
    assert best.metadata.weights_sha256 == acted[-4:][max(paid, key=paid.__getitem__)]
    assert trainer.progress.best_reward == max(paid.values())


def test_without_live_towns_no_checkpoint_is_the_best(tmp_path):
    run_small(tmp_path, source="replay")
    assert not (tmp_path / "checkpoints" / "best.json").exists()


def test_lives_of_a_single_tick_do_not_end_a_run(tmp_path):
    # Two towns of 81 ticks are six lives of 80, which are learned from, and six of one.
    scenario = load_scenario("queue_conflict")
    write_capture(scenario, ScriptedPolicy(scenario), CaptureSettings(ticks=81, num_towns=2), tmp_path / "c")
    given = (tmp_path / "c" / "rollout_sample_manifest.json",)
    settings = settings_of(source="replay", cycles=4, replay_manifest=given, replay_transitions=100)
    trainer = trainer_of(tmp_path, settings)
    assert trainer.dataset.sample_count == 6
    trainer.run()
    assert {record["transitions"] for record in read_log(tmp_path)} == {79}  # of the 80 that fit into 100


@pytest.mark.parametrize(("precision", "other"), [("fp32", "bf16"), ("bf16", "fp32")])
def test_towns_are_played_in_the_precision_they_are_learned_in(tmp_path, precision, other):
    # At a rate too small to change a weight, the network is still the one that played.
    trainer = trainer_of(
        tmp_path, settings_of(source="rollout", cycles=1, precision=precision, learning_rate=1e-30)
    )
    trainer.run()
    frames = trainer.rollout.frames
    tick = (frames.map[5, 0], frames.features[5, 0], frames.action_mask[5, 0], frames.actions[5, 0])
    log_probs, values = score_actions(trainer.network, *tick, precision)
    assert log_probs == pytest.approx(frames.log_probs[5, 0], abs=1e-6)
    assert values == pytest.approx(frames.values[5, 0], abs=1e-5)
    _, values = score_actions(trainer.network, *tick, other)
    assert values != pytest.approx(frames.values[5, 0], abs=1e-5)


def test_conflicts_told_of_a_replay_epoch_are_those_of_the_events_list(tmp_path):
    run_small(tmp_path, source="replay", scenario="queue_conflict")
    events = list(load_events(tmp_path / "samples" / "rollout_sample_events.jsonl"))
    conflicts = [event for event in events if event["type"] == "queue_conflict"]
    record = read_log(tmp_path)[0]
    assert record["queue_conflict_events"] == len(conflicts) > 0
    assert record["queue_conflict_intensity_sum"] == pytest.approx(sum(e["intensity"] for e in conflicts))
    assert record["shower_complete_events"] == sum(event["type"] == "shower_complete" for event in events)


def test_conflicts_told_of_a_rollout_are_those_of_its_frames(tmp_path):
    trainer = trainer_of(tmp_path, settings_of(source="rollout", cycles=1))
    trainer.run()
    frames, record = trainer.rollout.frames, read_log(tmp_path)[0]
    assert record["queue_conflict_events"] == frames.conflict_events.sum()
    assert record["queue_conflict_intensity_sum"] == pytest.approx(frames.conflict_intensity.sum())
    assert record["reward_mean"] == pytest.approx(frames.rewards[frames.alive].mean(), rel=1e-5)
    terms = {term: record[name] for term, name in REWARD_TERM_FIELDS.items()}
    conflict = frames.reward_terms[frames.alive][:, REWARD_TERMS.index("conflict")].mean()
    assert terms["conflict"] == pytest.approx(conflict, rel=1e-5)
    assert conflict < 0
    assert sum(terms.values()) == pytest.approx(record["reward_mean"], rel=1e-5)


def test_environment_steps_count_agents_in_town_once_whatever_the_epochs(tmp_path):
    run_small(tmp_path, source="mixed", cycles=2)  # 3 towns of 3 agents, who all stay, for 50 ticks a cycle
    records = read_log(tmp_path)
    assert [record["env_steps"] for record in records] == [0, 0, 450, 450, 450, 450, 900, 900]
    assert [record["env_ticks"] for record in records] == [0, 0, 150, 150, 150, 150, 300, 300]
    assert records[3]["steps"] - records[1]["steps"] == 450 * 2  # sample passes count every epoch
    assert [record.get("env_steps_per_second", 0) > 0 for record in records] == [False, False, True, True] * 2


def test_what_describes_the_batch_is_the_same_in_all_its_epochs(tmp_path):
    run_small(tmp_path, source="mixed", cycles=2)
    records = read_log(tmp_path)
    for first, second in zip(records[::2], records[1::2], strict=True):
        shared = OF_BATCH & first.keys()
        assert {name: first[name] for name in shared} == {name: second[name] for name in shared}
    described = {"reward_mean", "rollout_ticks", "queue_conflict_events", "baseline_sample_count", "adv_mean"}
    assert described < OF_BATCH


def test_who_is_out_of_town_takes_no_environment_steps(tmp_path):
    trainer = trainer_of(tmp_path, settings_of(source="rollout", cycles=1))
    trainer.rollout.towns.state.agents["alive"][0, 0] = False  # and nobody takes the place
    trainer.run()
    assert read_log(tmp_path)[-1]["env_steps"] == 450 - 50


def test_recordings_take_no_environment_steps(tmp_path):
    result = run_small(tmp_path, source="replay", cycles=1)
    assert (result.progress.env_steps, result.progress.env_ticks) == (0, 0)
    assert result.progress.steps > 0


def test_numbers_that_are_not_finite_end_the_run_and_keep_the_last_good_checkpoint(tmp_path):
    trainer = trainer_of(tmp_path, settings_of(source="replay", cycles=5))
    good: list[str] = []

    def poison(end) -> None:
        good.append(weights_sha256(trainer.network))
        if len(good) == 2:
            take = trainer.recordings.take
            trainer.recordings.take = lambda: [
                b._replace(rewards=np.full_like(b.rewards, 1e30)) for b in take()
            ]

    trainer.reports = Reports(cycle=poison)
    with pytest.raises(RunFailed, match=r"not_finite\.npz.*in cycle 3; rolled back to .* cycle 2"):
        trainer.run()
    assert weights_sha256(trainer.network) == good[-1]
    assert load_checkpoint(tmp_path).metadata.weights_sha256 == good[-1]
    assert [record["skipped_updates"] for record in read_log(tmp_path)[-2:]] == [2, 1]


def test_recordings_that_do_not_fit_the_scenario_are_refused_by_name(tmp_path):
    run_small(tmp_path / "a", source="replay", cycles=1)
    settings = settings_of(replay_manifest=(tmp_path / "a" / "samples" / "rollout_sample_manifest.json",))
    from townlet_core.training.recordings import check_agreement, open_dataset

    scenario = load_scenario("queue_conflict")
    kind = scenario.all_kinds["bench"]
    other = scenario.model_copy(update={"kinds": {**scenario.kinds, "sauna": kind}})
    with pytest.raises(InputError, match="sauna"):
        check_agreement(open_dataset(settings, settings.replay_manifest), other)


@pytest.mark.parametrize("capture", ["queue_conflict", "two_step", "observation_baseline"])
def test_captures_of_the_older_generation_train_in_replay_mode(tmp_path, capture):
    (manifest,) = (REFERENCE / capture).glob("*manifest.json")
    run_small(tmp_path, source="replay", cycles=2, replay_manifest=(manifest,))
    assert list(LogCheck(tmp_path / "telemetry.jsonl").problems()) == []
    assert read_log(tmp_path)[-1]["skipped_updates"] == 0


def test_a_beginner_seldom_releases(tmp_path):
    network = trainer_of(tmp_path, settings_of(source="rollout")).network
    mask = torch.zeros(1, ACTION_COUNT, dtype=torch.bool)
    mask[0, [WAIT, RELEASE]] = True
    logits, _ = network(
        torch.zeros(1, *network.config.map_shape), torch.zeros(1, network.config.feature_count)
    )
    wait, release = masked_log_probs(logits, mask)[0, [WAIT, RELEASE]].exp().tolist()
    assert release / wait == pytest.approx(RELEASE_ODDS, rel=0.05)


THREADS_AFTER_MANY_TOWNS = """
import sys
import torch
from pathlib import Path
sys.path.insert(0, "tests/training")
from small_runs import run_small
torch.set_num_threads(1)
run_small(Path(sys.argv[1]), source="rollout", num_towns=64, cycles=1)
print(torch.get_num_threads())
"""


def test_towns_in_parallel_leave_torch_its_threads(tmp_path):
    told = subprocess.run(
        [sys.executable, "-c", THREADS_AFTER_MANY_TOWNS, tmp_path],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "NUMBA_NUM_THREADS": "2"},
        cwd=Path(__file__).resolve().parents[2],
    )
    assert told.stdout.split()[-1] == "1"
