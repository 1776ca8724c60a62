"""The worker's half of benchmarks/peers.py. Runs in the peers' environment, without townlet."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any


def serve(measure: Callable[..., float]) -> None:
    """Answer each request, a JSON object per line, with the rate that `measure(**request)` returns."""
    answers, sys.stdout = sys.stdout, sys.stderr  # what a library prints must not pass for an answer
    for line in sys.stdin:
        print(json.dumps(measure(**json.loads(line))), file=answers, flush=True)


def rate(work: Callable[[], Any], seconds: float) -> float:
    """Repeat `work`, which returns the units it did, for at least `seconds`; return units per second."""
    units = 0
    start = time.perf_counter()
    while True:
        units += work()
        elapsed = time.perf_counter() - start
        if elapsed >= seconds:
            return units / elapsed
