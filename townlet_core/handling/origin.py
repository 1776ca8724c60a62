"""What samples have in common: the metadata of a manifest that lists them."""

from __future__ import annotations

from typing import Any

_ABOUT = ("behaviour", "value_source")
_OWN = ("town", "episode", "first_frame")  # of `capture`, for each sample


class CommonOrigin:
    """Collect the metadata of samples, one after the other, and keep what all share.

    scenarios: their digests; None where a sample has none.
    """

    def __init__(self) -> None:
        self.scenarios: set[str | None] = set()
        self._about: dict[str, Any] = {}
        self._capture: dict[str, Any] = {}
        self._towns = 0

    def add(self, metadata: dict[str, Any]) -> None:
        """Compare the metadata of a sample with that of the others."""
        capture = metadata.get("capture")
        capture = capture if isinstance(capture, dict) else {}
        about: dict[str, Any] = {key: metadata[key] for key in _ABOUT if key in metadata}
        is_first = not self.scenarios
        self.scenarios.add(capture.get("scenario_sha256"))
        if type(town := capture.get("town")) is int:
            self._towns = max(self._towns, town + 1)
        if is_first:
            self._about = about
            self._capture = {key: value for key, value in capture.items() if key not in _OWN}
        self._about = {key: value for key, value in self._about.items() if about.get(key) == value}
        self._capture = {key: value for key, value in self._capture.items() if capture.get(key) == value}

    def metadata(self, towns: int) -> dict[str, Any]:
        """Return `behaviour`, `value_source` and the keys of `capture` in which all samples agree.

        towns: the number of towns of the capture, as far as it is known; 0 if it is not.
        """
        if not self._capture:
            return dict(self._about)
        return {**self._about, "capture": {**self._capture, "towns": max(towns, self._towns)}}
