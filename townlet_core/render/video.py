"""Frames as an MP4 video in H.264, which browsers, chat tools and slides play."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from PIL import Image

from townlet_core.errors import MissingLibraryError
from townlet_core.render.frames import HELD_MS
from townlet_core.render.poster import PAPER

INSTALL = "pip install 'townlet[video]'"
try:
    import av
except ModuleNotFoundError as error:
    raise MissingLibraryError("PyAV is not installed, and --format mp4 needs it", INSTALL) from error

_OPTIONS = {"crf": "20"}  # quality; of flat colours, as good as the original to the eye
_INDEX_FIRST = {"movflags": "+faststart"}  # a browser plays the file while it loads


def mp4(frames: Iterable[Image.Image], fps: int, after_frame: Callable[[], Any] = lambda: None) -> bytes:
    """Return the frames as a video; frames are encoded one by one, so that a long one needs little memory.

    Equal frames give equal bytes with the same version of PyAV.
    """
    buffer = io.BytesIO()

    def read_again(*place: Any) -> io.BytesIO:
        """Open what is written so far: the index is known last, and the frames are moved behind it."""
        return io.BytesIO(buffer.getvalue())

    with av.open(buffer, "w", format="mp4", options=_INDEX_FIRST, io_open=read_again) as container:
        stream = container.add_stream("libx264", rate=fps, options=_OPTIONS)
        stream.codec_context.thread_count = 1  # more of them give other bytes
        stream.pix_fmt = "yuv420p"  # the one that every player has
        for frame in _held(frames, math.ceil(HELD_MS * fps / 1000), after_frame):
            even = _even(frame)
            if not stream.codec_context.is_open:  # the first frame says how large all are
                stream.width, stream.height = even.size
            container.mux(stream.encode(av.VideoFrame.from_image(even)))
        container.mux(stream.encode())
    return buffer.getvalue()


def _held(frames: Iterable[Image.Image], times: int, after_frame: Callable[[], Any]) -> Iterator[Image.Image]:
    """Yield all frames, and the last one so many times."""
    last = None
    for frame in frames:
        last = frame
        yield frame
        after_frame()
    if last is not None:
        yield from [last] * (times - 1)


def _even(frame: Image.Image) -> Image.Image:
    """Give the frame an even number of rows and columns, which the encoding needs."""
    width, height = (size + size % 2 for size in frame.size)
    if (width, height) == frame.size:
        return frame
    padded = Image.new("RGB", (width, height), PAPER)
    padded.paste(frame)
    return padded
