"""A study of seconds: one method, two seeds and the script in one scenario, with a network of eight."""

import copy

import yaml

from townlet_core.study.plan import load_plan

SMALL = {
    "name": "small",
    "scenarios": ["queue_conflict"],
    "seeds": "0-1",
    "settings": {
        "training": {
            "source": "rollout",
            "cycles": 2,
            "num_towns": 1,
            "rollout_ticks": 8,
            "hidden_size": 8,
        },
        "ppo": {"num_epochs": 1, "num_mini_batches": 1},
    },
    "evaluate": {"episodes": 2, "against": ["scripted"]},
}
JOBS = 3


def plan_in(folder, **changes):
    """Write a plan into a folder and load it."""
    folder.mkdir(exist_ok=True)
    (folder / "plan.yaml").write_text(yaml.safe_dump({**copy.deepcopy(SMALL), **changes}))
    return load_plan(folder / "plan.yaml")
