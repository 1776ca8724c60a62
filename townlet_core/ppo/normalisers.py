"""Running mean and variance of features and returns; buffers of the network, so part of checkpoints."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from townlet_core.ppo.device import torch

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

    def update(self, rows: np.ndarray) -> None:
        """Add rows (N, size) to the statistics; those with a number that is not finite are left out.

            mean ← mean + δ n / (m + n)      squares ← squares + squares' + δ² m n / (m + n)

        with m rows so far, n new ones, and δ the new mean minus the old.
        Source: Chan, Golub and LeVeque 1983, doi:10.1080/00031305.1983.10483115, eq. 2.1.
        """
        rows = rows[np.isfinite(rows).all(1)].astype(np.float64)
        if not len(rows):
            return
        new = torch.from_numpy(rows.mean(0)).to(self.mean.device)
        squares = torch.from_numpy(np.square(rows - rows.mean(0)).sum(0)).to(self.mean.device)
        total = self.count + len(rows)
        delta = new - self.mean
        self.squares += squares + delta.square() * self.count * len(rows) / total
        self.mean += delta * len(rows) / total
        self.count.copy_(total)
