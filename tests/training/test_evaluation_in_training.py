"""Evaluation while training: on its own seed, written with its cycle, choosing the best, changing nothing."""

from pathlib import Path

import orjson
import pytest
from small_runs import SMALL, run_small, settings_of, trainer_of

from townlet_core.errors import InputError
from townlet_core.evaluate import evaluate
from townlet_core.policy.loading import load_policy
from townlet_core.ppo.checkpoint import load_checkpoint
from townlet_core.telemetry.summary import summarise
from townlet_core.telemetry.summary_text import mode_tables
from townlet_core.telemetry.validate import LogCheck
from townlet_core.training.evaluation import Evaluation, evaluation_seed
from townlet_core.training.session import resume, train
from townlet_core.training.settings import resolve_settings

EVALUATED = {"source": "rollout", "cycles": 4, "eval_every": 2, "eval_episodes": 3}


def read_log(folder: Path) -> list[dict]:
    return [orjson.loads(line) for line in (folder / "telemetry.jsonl").read_bytes().splitlines()]


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluated") / "run"
    return train(settings_of(**EVALUATED), folder)


def evaluations_of(folder: Path) -> dict[int, dict]:
    """The evaluation fields of each record that has some, by its cycle_id and data_mode."""
    fields = {r["epoch"]: {k: v for k, v in r.items() if k.startswith("eval_")} for r in read_log(folder)}
    return {epoch: found for epoch, found in fields.items() if found}


def test_the_last_record_of_every_second_cycle_holds_the_evaluation(evaluated):
    found = evaluations_of(evaluated.folder)
    assert list(found) == [4, 8]  # two epochs a cycle
    assert all(set(fields) == set(Evaluation._fields) for fields in found.values())
    assert list(evaluated.result.evaluations) == [2, 4]
    assert found[8] == evaluated.result.evaluations[4]._asdict()
    assert list(LogCheck(evaluated.log).problems()) == []


def test_the_numbers_are_those_of_evaluate_on_the_seed_of_the_record(evaluated):
    last = evaluated.result.evaluations[4]
    assert last.eval_seed == evaluation_seed(0) != 0
    for greedy, measured in (
        (False, (last.eval_return_mean, last.eval_return_low, last.eval_return_high)),
        (True, last[6:9]),
    ):
        policy = load_policy(evaluated.folder, "queue_conflict", deterministic=greedy)
        assert evaluate("queue_conflict", policy, 3, last.eval_seed)["return"] == pytest.approx(measured)


def test_weights_and_all_other_fields_are_those_of_a_run_without_evaluation(evaluated, tmp_path):
    plain = run_small(tmp_path / "plain", **{**EVALUATED, "eval_every": None})
    assert plain.weights_sha256 == evaluated.result.weights_sha256
    own = ("run_id", "timestamp", "epoch_duration_sec", "steps_per_second", "env_steps_per_second")
    told = [
        [{k: v for k, v in r.items() if k not in own and not k.startswith("eval_")} for r in read_log(folder)]
        for folder in (tmp_path / "plain", evaluated.folder)
    ]
    assert told[0] == told[1]


def test_the_best_checkpoint_is_the_one_that_was_evaluated_best(tmp_path, monkeypatch):
    returns = iter([-3.0, -1.0, -2.0])
    digests = []
    trainer = trainer_of(tmp_path, settings_of(source="rollout", cycles=3, eval_every=1, eval_episodes=2))

    def evaluate_network(network, *_):
        return Evaluation(2, 1, next(returns), *[0.0] * 8)

    monkeypatch.setattr("townlet_core.training.loop.evaluate_network", evaluate_network)
    trainer.reports = trainer.reports._replace(
        cycle=lambda end: digests.append(load_checkpoint(tmp_path).metadata.weights_sha256)
    )
    assert trainer.run().progress.best_return == -1.0
    best = load_checkpoint(tmp_path / "checkpoints" / "best.json")
    assert best.metadata.weights_sha256 == digests[1]
    assert best.state["cycle"] == 2


def test_a_run_that_is_resumed_evaluates_as_the_straight_one(evaluated, tmp_path):
    train(settings_of(**{**EVALUATED, "cycles": 3}), tmp_path)
    assert resume(tmp_path, 4).result.weights_sha256 == evaluated.result.weights_sha256
    resumed, straight = evaluations_of(tmp_path), evaluations_of(evaluated.folder)
    for fields in (*resumed.values(), *straight.values()):
        assert fields.pop("eval_duration_sec") > 0
    assert resumed == straight


def test_an_evaluation_is_written_whatever_log_every_says(tmp_path):
    run_small(tmp_path, **EVALUATED, log_every=3)
    assert [record["epoch"] for record in read_log(tmp_path)] == [1, 4, 7, 8]
    assert list(evaluations_of(tmp_path)) == [4, 8]
    assert list(LogCheck(tmp_path / "telemetry.jsonl").problems()) == []


def test_a_learner_of_recordings_alone_is_evaluated_in_the_scenario(tmp_path):
    run_small(tmp_path / "a", source="replay", cycles=1)
    given = (tmp_path / "a" / "samples" / "rollout_sample_manifest.json",)
    settings = settings_of(source="replay", cycles=1, replay_manifest=given, eval_every=1, eval_episodes=2)
    run = train(settings, tmp_path / "b")
    assert list(evaluations_of(run.folder)) == [2]
    assert read_log(run.folder)[-1]["scenario"] == "queue_conflict"
    assert (run.folder / "checkpoints" / "best.json").exists()
    other = {"scenario": "examples/market_day.yaml", "eval_every": 1}
    with pytest.raises(InputError, match="different features"):
        train(settings_of(source="replay", replay_manifest=given, **other), tmp_path / "c")


def test_evaluations_are_curves(evaluated):
    assert "eval_return_mean" in str(mode_tables(summarise(evaluated.log), "rollout"))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"eval_episodes": 5}, "--eval-episodes: without --eval-every nothing is evaluated"),
        (
            {"eval_every": 5, "cycles": 3},
            "--eval-every: the run has 3 cycles, and nothing would be evaluated",
        ),
    ],
)
def test_what_would_evaluate_nothing_is_refused(flags, message):
    with pytest.raises(InputError, match=message):
        resolve_settings({**SMALL, **flags})
