"""Running mean and variance of features and returns; buffers of the network, so part of checkpoints."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from townlet_core.ppo.device import torch
from townlet_core.ppo.moments import Moments, merge

SMALLEST_VARIANCE = 1e-8  # below it a feature counts as constant and is not scaled
CLIP = 10.0  # standard deviations; bounds a feature that was nearly constant


class RunningStatistics(torch.nn.Module):
    """Mean and variance of `size` numbers over all rows so far; 0 and 1 before the first.

    Buffers, all float64: mean (size,), squares (size,), the summed squared deviations, and count ().
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        for name in ("mean", "squares"):
            self.register_buffer(name, torch.zeros(size, dtype=torch.float64))
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))
        self.mean: torch.Tensor
        self.squares: torch.Tensor
        self.count: torch.Tensor

    @property
    def std(self) -> torch.Tensor:
        """Standard deviations (size,) float64; 1 where the variance is negligible."""
        variance = self.squares / self.count.clamp(min=1)
        return torch.where(variance > SMALLEST_VARIANCE, variance, 1.0).sqrt()

    def normalise(self, rows: torch.Tensor) -> torch.Tensor:
        """Subtract the mean from rows (N, size) float32, divide by the deviation, and clip to ± CLIP."""
        deviations = (rows - self.mean.float()) / self.std.float()
        return deviations.clamp(-CLIP, CLIP)

    def begin(self, count: int, mean: Sequence[float], std: Sequence[float]) -> None:
        """Begin with the statistics of `count` rows: their mean (size,) and deviation (size,)."""
        self.count.fill_(count)
        self.mean.copy_(torch.tensor(mean, dtype=torch.float64))
        self.squares.copy_(torch.tensor(std, dtype=torch.float64).square() * count)

    def update(self, new: Moments) -> None:
        """Add the moments of rows; see `finite_rows` for which of them."""
        own = Moments(self.count.item(), self.mean.cpu().numpy(), self.squares.cpu().numpy())
        if new.rows:
            count, mean, squares = merge([own, new])
            self.count.fill_(count)
            self.mean.copy_(torch.from_numpy(mean))
            self.squares.copy_(torch.from_numpy(squares))


def finite_rows(rows: np.ndarray) -> np.ndarray:
    """Return the rows (N, size) whose numbers are all finite; statistics leave the others out."""
    return rows[np.isfinite(rows).all(1)]
