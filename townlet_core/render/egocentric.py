"""An animation of what one agent observed, for recordings whose town cannot be simulated again.

The agent stays at the centre and the town moves around it. The map shows where objects and agents stand, not
which ones they are.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from townlet_core.errors import SampleError
from townlet_core.render.animation import NOT_RECORDED, WHOLE, Animation, Choices, Part
from townlet_core.render.recorded_actions import probabilities_of, values_of
from townlet_core.render.recording import Recording
from townlet_core.render.scene import DrawnAgent, DrawnObject, Scene
from townlet_core.replay.sample import ReplaySample
from townlet_core.vocab import ACTIONS, MAP_CHANNELS, NEEDS

THING, BUSY_THING = "something", "something-busy"


def egocentric_animation(recording: Recording, why: str, part: Part = WHOLE) -> Animation:
    """Show the first sample of the recording as its agent observed it, tick by tick from its start.

    why: the reason for not showing the town, kept in the animation's note.
    Raises SampleError for a map without the channels we know, InputError for a part that was not recorded.
    """
    sample = _focused(recording)
    path = recording.files[recording.samples.index(sample)]
    missing = [name for name in MAP_CHANNELS if name not in _channels(sample)]
    if missing:
        raise SampleError(f"{path}: its map has no channel {', '.join(missing)}; it cannot be drawn")
    first, last = part.of(0, sample.timesteps)
    # What it saw after its last action was not recorded: the last moment shows what it saw before it.
    sights = [min(tick, sample.timesteps - 1) for tick in range(first, last + 1)]
    crowd = int(_channel(sample, "agents").reshape(sample.timesteps, -1).sum(axis=1).max())
    scenes = [_scene(sample, row, first + n, crowd) for n, row in enumerate(sights)]
    rewards = np.full((len(scenes), 1 + crowd), np.nan, np.float32)
    rewards[1:, 0] = sample.rewards[first:last]
    note = f"This is what {sample.agent_id} saw, not the town: {why}."
    facts = {"policy": recording.policy}
    choices = _choices(sample, first, last, crowd)
    return Animation(f"What {sample.agent_id} saw", "", facts, note, scenes, rewards, [], 0, choices)


def _choices(sample: ReplaySample, first: int, last: int, crowd: int) -> Choices:
    """Return what the agent chose; ids of the older generation have no names that we know."""
    shape = (last - first + 1, 1 + crowd)
    actions = np.full(shape, NOT_RECORDED, np.int16)
    probabilities, values = np.full(shape, np.nan, np.float32), np.full(shape, np.nan, np.float32)
    names = tuple(f"action {n}" for n in range(sample.action_ids)) if sample.is_older else ACTIONS
    actions[:-1, 0] = sample.actions[first:last]
    probabilities[:-1, 0] = probabilities_of(sample)[first:last]
    values[:-1, 0] = values_of(sample)[first:last]
    return Choices(actions, probabilities, values, names)


def _focused(recording: Recording) -> ReplaySample:
    """Return the selected sample, or the first."""
    return next((s for s in recording.samples if s.agent_id == recording.focus), recording.samples[0])


def _channels(sample: ReplaySample) -> tuple[str, ...]:
    """Name the map's channels; samples of the older generation need not, and then have the usual four."""
    return tuple(sample.metadata.get("map_channels") or MAP_CHANNELS[: sample.map.shape[1]])


def _channel(sample: ReplaySample, name: str) -> np.ndarray:
    """Return one channel of the map, (T, H, W) bool."""
    return sample.map[:, _channels(sample).index(name)] > 0


def _scene(sample: ReplaySample, row: int, tick: int, crowd: int) -> Scene:
    height, width = sample.map.shape[2:]
    busy = set(_tiles(sample, "reservations", row))
    things = tuple(
        DrawnObject(f"{THING}-{n}", BUSY_THING if (x, y) in busy else THING, x, y)
        for n, (x, y) in enumerate(_tiles(sample, "objects", row))
    )
    middle = next(_tiles(sample, "self", row), (width // 2, height // 2))
    others = list(_tiles(sample, "agents", row))
    agents = [DrawnAgent(sample.agent_id, middle[0], middle[1], needs=_needs(sample, row))]
    for n in range(crowd):
        x, y = others[n] if n < len(others) else (0, 0)
        agents.append(DrawnAgent(f"somebody-{n + 1}", x, y, alive=n < len(others)))
    nothing: frozenset[tuple[int, int]] = frozenset()
    return Scene(width, height, nothing, nothing, things, tuple(agents), tick, 0, 0)


def _tiles(sample: ReplaySample, channel: str, row: int) -> Iterator[tuple[int, int]]:
    """Yield (x, y) of every tile that is marked."""
    for y, x in np.argwhere(_channel(sample, channel)[row]):
        yield int(x), int(y)


def _needs(sample: ReplaySample, row: int) -> tuple[float, ...] | None:
    names = sample.feature_names
    if any(f"need_{name}" not in names for name in NEEDS):
        return None
    return tuple(float(sample.features[row, names.index(f"need_{name}")]) for name in NEEDS)
