"""The output of a policy."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class PolicyOutput(NamedTuple):
    """One decision of every agent of a batch, each (B, A)."""

    actions: np.ndarray  # int64
    log_probs: np.ndarray  # float32, under the policy that chose
    values: np.ndarray  # float32, the critic's value of the observation; 0 without a critic
