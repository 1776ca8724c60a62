"""Frames as a picture that moves and loops: an animated PNG, or a GIF, which more programs play."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from typing import Any

from PIL import Image

from townlet_core.errors import InputError
from townlet_core.render.frames import HELD_MS

GIF_LEAST_MS = 20  # players slow down what asks for less


def animated_png(
    frames: Iterable[Image.Image],
    palette: Image.Image,
    frame_ms: int,
    after_frame: Callable[[], Any] = lambda: None,
) -> bytes:
    """Return the frames as an animated PNG. palette: an image whose colours all frames share."""
    return _save(_in_colours(frames, palette, after_frame), frame_ms, format="png", optimize=True)


def gif(
    frames: Iterable[Image.Image],
    palette: Image.Image,
    frame_ms: int,
    after_frame: Callable[[], Any] = lambda: None,
) -> bytes:
    """Return the frames as a GIF, whose times are hundredths of a second.

    Raises InputError for frames that are shorter than players show.
    """
    if frame_ms < GIF_LEAST_MS:
        raise InputError(
            f"a frame lasts {frame_ms} ms, expected at least {GIF_LEAST_MS} ms in a GIF",
            "players slow down what is faster; choose at most --fps 50, or --format mp4",
        )
    # disposal 1: each frame is painted over the one before, so only what changes is stored.
    return _save(_in_colours(frames, palette, after_frame), frame_ms, format="gif", disposal=1)


def _in_colours(
    frames: Iterable[Image.Image], palette: Image.Image, after_frame: Callable[[], Any]
) -> list[Image.Image]:
    shown = []
    for frame in frames:
        shown.append(frame.quantize(palette=palette, dither=Image.Dither.NONE))
        after_frame()
    return shown


def _save(frames: list[Image.Image], frame_ms: int, **options: Any) -> bytes:
    durations = [frame_ms] * (len(frames) - 1) + [max(frame_ms, HELD_MS)]
    buffer = io.BytesIO()
    frames[0].save(buffer, save_all=True, append_images=frames[1:], duration=durations, loop=0, **options)
    return buffer.getvalue()
