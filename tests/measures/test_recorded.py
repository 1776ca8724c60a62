"""Recordings have the measures that the same episodes had when they were played."""

import json

import numpy as np
import pytest
from render.render_recordings import HUNGRY, captured

from townlet_core.errors import InputError, SampleError
from townlet_core.evaluate import evaluate
from townlet_core.measures.recorded import measure_recording
from townlet_core.measures.table import MEASURES, estimate_measures
from townlet_core.policy.scripted import ScriptedPolicy
from townlet_core.scenario.load import load_scenario


def live(scenario, episodes=2):
    plan = load_scenario(scenario)
    return evaluate(plan, ScriptedPolicy(plan, plan.rules.epsilon), episodes, plan.seed)


@pytest.mark.parametrize("scenario", ["queue_conflict", "employment_punctuality", "kitchen_breakfast"])
def test_a_recording_has_the_measures_of_the_live_episodes(scenario, tmp_path):
    found = measure_recording(captured(scenario, tmp_path, num_towns=2))
    assert len(found.values) == 2
    recorded = estimate_measures(found.values)
    for name, expected in live(scenario).items():
        assert recorded[name] == pytest.approx(expected, abs=2e-4, nan_ok=True), name


def test_newcomers_and_faints_are_measured_as_they_were_live(tmp_path):
    (tmp_path / "hungry.yaml").write_text(HUNGRY)
    found = measure_recording(captured(tmp_path / "hungry.yaml", tmp_path / "q", num_towns=2))
    recorded = estimate_measures(found.values)
    assert recorded["faints"].mean > 0
    assert recorded["return_first_life"].mean != recorded["return"].mean
    for name, expected in live(tmp_path / "hungry.yaml").items():
        assert recorded[name] == pytest.approx(expected, abs=1e-5, nan_ok=True), name


def test_packed_recordings_have_the_same_measures(tmp_path):
    plain, packed = (
        measure_recording(captured("queue_conflict", tmp_path / form, format=form))
        for form in ("npz", "arrow")
    )
    assert np.array_equal(plain.values, packed.values, equal_nan=True)


def test_who_lost_to_whom_is_summed_over_all_episodes(tmp_path):
    folder = captured("queue_conflict", tmp_path, ticks=160)  # two episodes
    log = [json.loads(line) for line in (folder / "rollout_sample_events.jsonl").read_text().splitlines()]
    conflicts = [event for event in log if event["type"] == "queue_conflict"]
    found = measure_recording(folder)
    pairs = [
        (event["rival"], event["actor"])
        if event["reason"] == "ghost_step"
        else (event["actor"], event["rival"])
        for event in conflicts
    ]
    expected = [[pairs.count((loser, winner)) for winner in found.agents] for loser in found.agents]
    assert found.contests.tolist() == expected
    assert len(found.values) == 2


def test_an_episode_that_goes_on_is_left_out(tmp_path):
    found = measure_recording(captured("queue_conflict", tmp_path / "long", ticks=100))
    assert (len(found.values), found.unfinished) == (1, 1)
    with pytest.raises(InputError, match="no episode that was recorded to its end"):
        measure_recording(captured("queue_conflict", tmp_path / "short", ticks=40))


def test_without_the_scenario_wages_are_not_defined(tmp_path):
    folder = captured("employment_punctuality", tmp_path)
    (folder / "rollout_sample_scenario.yaml").unlink()
    values = dict(zip(MEASURES, measure_recording(folder).values[0], strict=True))
    assert np.isnan([values["wages"], values["late_ticks"], values["gini_wages"]]).all()
    assert not np.isnan(values["return"])


def test_what_lacks_agents_or_events_is_refused(tmp_path):
    folder = captured("queue_conflict", tmp_path / "one", agent="anna")
    with pytest.raises(InputError, match="has no samples of ben, cara, expected those of every agent"):
        measure_recording(folder)
    (folder / "rollout_sample_events.jsonl").unlink()
    with pytest.raises(InputError, match=r"events\.jsonl: is not there"):
        measure_recording(folder)


def test_samples_that_do_not_fit_the_scenario_beside_them_are_refused(tmp_path):
    folder = captured("queue_conflict", tmp_path)
    scenario = folder / "rollout_sample_scenario.yaml"
    scenario.write_text(scenario.read_text().replace("cara", "dora"))
    with pytest.raises(InputError, match="no samples of dora"):
        measure_recording(folder)
    scenario.unlink()
    sample, manifest = folder / "rollout_sample_cara_003.json", folder / "rollout_sample_manifest.json"
    about, listed = json.loads(sample.read_text()), json.loads(manifest.read_text())["samples"]
    about["capture"] |= {"first_frame": 5000, "ticks": 6000}
    sample.write_text(json.dumps(about))
    kept = ("sample", "meta", "agent_id")  # no digests
    manifest.write_text(json.dumps({"samples": [{name: entry[name] for name in kept} for entry in listed]}))
    with pytest.raises(SampleError, match="leave gaps in an episode of 5,080 ticks"):
        measure_recording(folder)


def test_the_command_prints_measures_and_contests(tmp_path, townlet):
    folder = captured("queue_conflict", tmp_path, num_towns=2)
    code, out, _ = townlet("replay", "measure", str(folder))
    assert code == 0
    assert "2 recorded episodes, mean over episodes" in out
    assert "Contests lost by the agent of the row to that of the column" in out
    found = json.loads(townlet("replay", "measure", str(folder), "--json")[1])
    assert list(found["measures"]) == list(MEASURES)
    assert found["agents"] == ["anna", "ben", "cara"]
