"""Run directories to read: one of a small training run, changed and made older."""

import json
import os
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "training"))

from small_runs import settings_of

from townlet_core.training.session import train


def train_small(folder):
    """Train three cycles, and say where some of the settings came from."""
    sources = {"seed": "flag", "cycles": "environment", "hidden_size": "town.yaml", "gamma": "default"}
    train(settings_of(seed=7), folder, sources=sources)
    return folder


def edit(path, **changes):
    """Change keys of a JSON file; those of `settings` one by one."""
    content = json.loads(path.read_text())
    for name, value in changes.pop("settings", {}).items():
        next(section for section in content["settings"].values() if name in section)[name] = value
    path.write_text(json.dumps(content | changes))


def make_old(folder, days, now):
    """Make every file of a run so many days old. now: seconds since 1970."""
    when = now - days * 86400
    for path in folder.rglob("*"):
        os.utime(path, (when, when))
