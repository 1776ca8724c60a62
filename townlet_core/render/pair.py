"""Two recordings of one town, to be shown side by side: what they must have in common, and their names."""

from __future__ import annotations

from townlet_core.errors import InputError, shown
from townlet_core.render.recording import Recording

_SAME = ("scenario", "scenario_sha256", "seed", "town", "episode")
_RECAPTURE = "capture both with the same scenario and --seed, and name the same --town and --episode"


def check_same_town(first: Recording, second: Recording) -> None:
    """Refuse recordings that did not begin as the same town, with the same chances.

    Raises InputError that names what differs.
    """
    for recording in (first, second):
        if recording.capture is None:
            raise InputError(
                f"{recording.path}: is of the older generation, and cannot be compared with another",
                "render it alone",
            )
    for name in _SAME:
        one, other = ((recording.capture or {}).get(name) for recording in (first, second))
        if one != other:
            said = name.replace("_", " ")
            raise InputError(
                f"{second.path}: has {said} {shown(other, 40)}, and {first.path} has {shown(one, 40)}",
                _RECAPTURE,
            )


def label_of(recording: Recording) -> str:
    """Name a recording after its folder and who acted."""
    folder = recording.path.parent.name
    return f"{folder}: {recording.policy}" if folder else recording.policy
