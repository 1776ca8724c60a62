"""Townlet from Python: `import townlet_core as townlet` (docs/python.md).

This file lists what is public. A name loads its module when it is first used, so that importing the package
loads nothing. Modules of the core import each other by their own names, never through this one.
"""

import os
import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Threads of OpenMP spin while they wait. Beside another busy process they take the processor from the thread
# that has work. Every OpenMP reads its policy once, when it is loaded: torch and numba load theirs after this
# line. A policy that the user has chosen stays.
if os.environ.keys().isdisjoint(("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")):
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"

PUBLIC = {  # name → where it is defined
    "Scenario": "scenario.model.Scenario",
    "load_scenario": "scenario.load.load_scenario",
    "bundled_scenarios": "scenario.catalogue.bundled_scenarios",
    "Towns": "simulation.towns.Towns",
    "ScriptedPolicy": "policy.scripted.ScriptedPolicy",
    "load_policy": "policy.loading.load_policy",
    "capture": "capture.session.capture",
    "validate_replay": "replay.validate.validate_path",
    "ReplayDataset": "replay.dataset.ReplayDataset",
    "ReplayDatasetConfig": "replay.dataset.ReplayDatasetConfig",
    "ReplayBatches": "exchange.torch_data.ReplayBatches",
    "ReplayTransitions": "exchange.torch_data.ReplayTransitions",
    "export_parquet": "exchange.parquet.export_parquet",
    "export_huggingface": "exchange.huggingface.export_huggingface",
    "export_minari": "exchange.minari_export.export_minari",
    "import_npz": "exchange.npz_import.import_npz",
    "import_minari": "exchange.minari_import.import_minari",
    "TrainingSettings": "training.settings.TrainingSettings",
    "train": "training.session.train",
    "train_seeds": "training.seeds.train_seeds",
    "resume": "training.session.resume",
    "evaluate": "evaluate.evaluate",
    "read_telemetry": "telemetry.reader.read_telemetry",
    "make_env": "envs.parallel.parallel_env",
    "make_vec_env": "envs.vector.TownVectorEnv",
    "TownletError": "errors.TownletError",
}
__all__ = ["__version__", *PUBLIC]

if TYPE_CHECKING:
    from townlet_core.capture.session import capture as capture
    from townlet_core.envs.parallel import parallel_env
    from townlet_core.envs.vector import TownVectorEnv
    from townlet_core.errors import TownletError as TownletError
    from townlet_core.evaluate import evaluate as evaluate
    from townlet_core.exchange.huggingface import export_huggingface as export_huggingface
    from townlet_core.exchange.minari_export import export_minari as export_minari
    from townlet_core.exchange.minari_import import import_minari as import_minari
    from townlet_core.exchange.npz_import import import_npz as import_npz
    from townlet_core.exchange.parquet import export_parquet as export_parquet
    from townlet_core.exchange.torch_data import ReplayBatches as ReplayBatches
    from townlet_core.exchange.torch_data import ReplayTransitions as ReplayTransitions
    from townlet_core.policy.loading import load_policy as load_policy
    from townlet_core.policy.scripted import ScriptedPolicy as ScriptedPolicy
    from townlet_core.replay.dataset import ReplayDataset as ReplayDataset
    from townlet_core.replay.dataset import ReplayDatasetConfig as ReplayDatasetConfig
    from townlet_core.replay.validate import validate_path
    from townlet_core.scenario.catalogue import bundled_scenarios as bundled_scenarios
    from townlet_core.scenario.load import load_scenario as load_scenario
    from townlet_core.scenario.model import Scenario as Scenario
    from townlet_core.simulation.towns import Towns as Towns
    from townlet_core.telemetry.reader import read_telemetry as read_telemetry
    from townlet_core.training.seeds import train_seeds as train_seeds
    from townlet_core.training.session import resume as resume
    from townlet_core.training.session import train as train
    from townlet_core.training.settings import TrainingSettings as TrainingSettings

    make_env, make_vec_env, validate_replay = parallel_env, TownVectorEnv, validate_path


class _Package(ModuleType):
    """Importing a package binds its name here; `capture` and `evaluate` stay the functions."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in PUBLIC or not isinstance(value, ModuleType):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    if name not in PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, original = PUBLIC[name].rpartition(".")
    value = getattr(import_module(f"{__name__}.{module}"), original)
    globals()[name] = value  # later lookups skip __getattr__
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *PUBLIC})
