"""Towns as environments of PettingZoo and Gymnasium."""

from __future__ import annotations

from townlet_core.envs.libraries import check_version
from townlet_core.errors import MissingLibraryError

try:
    import gymnasium
    import pettingzoo

    for library in (gymnasium, pettingzoo):
        check_version(library, "townlet_core.envs")
except ModuleNotFoundError as error:
    raise MissingLibraryError(
        f"{error.name} is not installed, and townlet_core.envs needs it", "pip install gymnasium pettingzoo"
    ) from error

from townlet_core.envs.parallel import TownParallelEnv, parallel_env
from townlet_core.envs.vector import TownVectorEnv

__all__ = ["TownParallelEnv", "TownVectorEnv", "parallel_env"]
