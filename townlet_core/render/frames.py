"""The frames of a moving picture: one animation, or two of the same town side by side, with captions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from PIL import Image, ImageDraw

from townlet_core.errors import InputError
from townlet_core.render.animation import Animation, key_moments
from townlet_core.render.paint import fitting_tile, paint_image
from townlet_core.render.poster import INK, LINE, PAPER, SOFT, few_colours, fit_text, time_of

MAX_FRAMES = 240  # of an APNG or a GIF, which hold all of them in memory; of a video, unless asked for more
HELD_MS = 1500  # the last frame, at least
_GAP = 12  # pixels between two towns


def paint_frames(animations: Sequence[Animation], moments: Sequence[int]) -> Iterator[Image.Image]:
    """Paint one frame for each of these moments, which all the animations have."""
    tile = fitting_tile(animations[0].scenes[0], 480 if len(animations) == 1 else 400)
    for moment in moments:
        yield _frame(animations, moment, tile)


def _frame(animations: Sequence[Animation], moment: int, tile: int) -> Image.Image:
    """Paint the towns from left to right; below each, the time, or for several what each of them is."""
    towns = [paint_image(one.scenes[moment], tile) for one in animations]
    width, height = towns[0].size
    full = (len(towns) * (width + _GAP) - _GAP, height + (LINE + 8) * min(len(towns), 2))
    frame = Image.new("RGB", full, PAPER)
    draw = ImageDraw.Draw(frame)
    for n, (one, town) in enumerate(zip(animations, towns, strict=True)):
        left = n * (width + _GAP)
        frame.paste(town, (left, 0))
        if len(towns) > 1:
            fit_text(draw, (left + 6, height + 6), one.label, width - 12, INK)
    said = f"{animations[0].title} · {time_of(animations[0].scenes[moment])}"
    fit_text(draw, (6, full[1] - LINE - 2), said, full[0] - 12, INK if len(towns) == 1 else SOFT)
    return frame


def shared_palette(animations: Sequence[Animation]) -> Image.Image:
    """Return an image with a palette for all frames: of the moments that show most of the colours."""
    moments = sorted({m for one in animations for m in key_moments(one, 6)})
    frames = [_frame(animations, moment, 16) for moment in moments]
    width, height = frames[0].size
    mosaic = Image.new("RGB", (width, height * len(frames)), PAPER)
    for n, frame in enumerate(frames):
        mosaic.paste(frame, (0, n * height))
    return few_colours(mosaic)


def stride_for(animation: Animation) -> int:
    """Return the fewest ticks between frames that keep an animation, with its last one, in MAX_FRAMES."""
    return max(1, math.ceil((len(animation.scenes) - 1) / (MAX_FRAMES - 1)))


def frames_of(animation: Animation, stride: int, most: int | None = MAX_FRAMES) -> list[int]:
    """Return every `stride`-th moment, and the last. Raises InputError for more than `most`."""
    last = len(animation.scenes) - 1
    shown = sorted({*range(0, last + 1, stride), last})
    if most is not None and len(shown) > most:
        raise InputError(
            f"{len(shown):,} frames, expected at most {most}",
            f"take one every {stride_for(animation)} ticks (--every), or part of the episode (--from, --to)",
        )
    return shown
