"""A plan becomes jobs in a fixed order, and every mistake in it is told at its line."""

import pytest
from study.small_study import SMALL, plan_in

from townlet_core.errors import MissingError, SettingsError
from townlet_core.scenario.catalogue import bundled_scenarios
from townlet_core.study.plan import load_plan


def test_a_plan_is_a_job_per_scenario_method_and_seed_and_one_per_script(tmp_path):
    plan = plan_in(
        tmp_path,
        scenarios=["queue_conflict", "observation_baseline"],
        seeds=[7, 3],
        methods={"base": None, "fast": {"training": {"cycles": 5}, "ppo": {"learning_rate": 0.01}}},
    )
    assert [(job.number, job.text) for job in plan.jobs[:6]] == [
        (1, "queue_conflict base seed 7"),
        (2, "queue_conflict base seed 3"),
        (3, "queue_conflict fast seed 7"),
        (4, "queue_conflict fast seed 3"),
        (5, "queue_conflict scripted"),
        (6, "observation_baseline base seed 7"),
    ]
    assert len(plan.jobs) == 10
    base, fast = plan.jobs[0].settings, plan.jobs[3].settings
    assert (base.cycles, base.learning_rate, base.seed) == (2, 3e-4, 7)
    assert (fast.cycles, fast.learning_rate, fast.seed, fast.num_towns) == (5, 0.01, 3, 1)
    assert plan.jobs[3].folder == tmp_path / "studies/small/queue_conflict/fast/s3"


def test_paths_start_from_the_folder_of_the_plan(tmp_path, monkeypatch):
    text = bundled_scenarios()["queue_conflict"].read_text()
    (tmp_path / "mine.yaml").write_text(text.replace("name: queue_conflict", "name: mine"))
    monkeypatch.chdir("/")
    plan = plan_in(tmp_path, scenarios=["mine.yaml"], output="found")
    assert plan.jobs[0].scenario.name == "mine"
    assert plan.jobs[0].settings.scenario == str(tmp_path / "mine.yaml")
    assert plan.folder == tmp_path / "found"
    recorded = {"settings": {"training": {"source": "replay", "replay_manifest": ["gone.json"]}}}
    with pytest.raises(MissingError, match=f"{tmp_path}/gone.json: no such file"):
        plan_in(tmp_path, **recorded)


def test_every_mistake_is_told_at_its_line(tmp_path):
    (tmp_path / "plan.yaml").write_text(
        """\
nmae: small
name: ../up
scenarios:
  - queue_conflct
  - queue_conflict
  - queue_conflict
  - gone.yaml
seeds: 3-x
settings:
  training: {cycles: 0, sede: 1, ppo_log: a.jsonl}
methods:
  .hidden:
  random: {ppo: {gama: 0.9}}
  plain: 5
evaluate:
  episodes: 1
  agianst: []
  against: [scriptd]
output: 7
"""
    )
    with pytest.raises(SettingsError) as caught:
        load_plan(tmp_path / "plan.yaml")
    told = [line.removeprefix(f"{tmp_path}/plan.yaml:") for line in str(caught.value).splitlines()]
    assert told == [
        "1:1: nmae: unknown key 'nmae' (did you mean 'name'?)",
        "2:7: name: found '../up', expected a name (1 to 64 letters, digits, '_', '.' or '-')",
        "4:5: scenarios[0]: no scenario is called 'queue_conflct' (did you mean 'queue_conflict'?)",
        "6:5: scenarios[2]: a scenario called queue_conflict is in the list already",
        f"7:5: scenarios[3]: {tmp_path}/gone.yaml: no such file",
        "8:8: seeds: '3-x': expected seeds such as 1-4 or 1,3,7-9",
        "10:22: settings.training.cycles: found 0, expected a whole number from 1 to 1,000,000",
        "10:25: settings.training.sede: unknown key 'sede' (did you mean 'seed'?)",
        "10:34: settings.training.ppo_log: ppo_log is different for each job, leave it out",
        "12:3: methods..hidden: found '.hidden', expected a name that does not begin with '.'",
        "13:3: methods.random: random is the name of a script",
        "13:18: methods.random.ppo.gama: unknown key 'gama' (did you mean 'gamma'?)",
        "14:10: methods.plain: found 5, expected a block with training: and ppo:",
        "16:13: evaluate.episodes: found 1, expected a whole number from 2 to 100,000",
        "17:3: evaluate.agianst: unknown key 'agianst' (did you mean 'against'?)",
        "18:13: evaluate.against[0]: unknown policy 'scriptd' (did you mean 'scripted'?), expected "
        "'scripted' or 'random'",
        "19:9: output: found 7, expected text",
    ]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seeds": "0,0"}, "seeds: a seed is here twice"),
        ({"seeds": -1}, "seeds: found -1, expected a whole number from 0 to"),
        ({"seeds": [1, True]}, r"seeds\[1\]: found true, expected a whole number"),
        ({"scenarios": []}, r"scenarios: found \[\], expected a list"),
        ({"scenarios": ["-"]}, r"scenarios\[0\]: found '-', expected a name or a file"),
        ({"methods": []}, r"methods: found \[\], expected a block of methods"),
        ({"output": "s3://b/x"}, "output: s3://b/x: is an address, expected a path on this machine"),
        ({"scenarios": ["s3://b/x.yaml"]}, r"scenarios\[0\]: .*: is an address, expected a path"),
        ({"evaluate": 3}, "evaluate: found 3, expected a block of keys"),
        ({"seeds": "0-9999", "methods": {"a": None, "b": None}}, "found 20,001 jobs, expected at most"),
    ],
)
def test_other_values_than_the_expected_are_refused(changes, said, tmp_path):
    with pytest.raises(SettingsError, match=f"plan.yaml:\\d+:\\d+: {said}"):
        plan_in(tmp_path, **changes)


def test_what_is_missing_or_no_plan_at_all_is_told(tmp_path):
    for text, said in (
        ("seeds: 0", "name: missing, expected a name"),
        ("- a", 'found ["a"], expected a block with name, scenarios,'),
        ("name: [", "syntax: "),
    ):
        (tmp_path / "plan.yaml").write_text(text)
        with pytest.raises(SettingsError) as caught:
            load_plan(tmp_path / "plan.yaml")
        assert said in str(caught.value)


def test_what_does_not_decide_a_result_is_not_in_its_identity(tmp_path):
    one = plan_in(tmp_path / "a").jobs
    other = plan_in(tmp_path / "b", name="other", seeds=[1, 0], output="elsewhere").jobs
    assert [job.identity for job in one[:2]] == [job.identity for job in (other[1], other[0])]
    greedy = plan_in(tmp_path / "a", evaluate={**SMALL["evaluate"], "deterministic": True}).jobs
    assert [mine.identity == theirs.identity for mine, theirs in zip(one, greedy, strict=True)] == [
        False,
        False,
        True,
    ]
