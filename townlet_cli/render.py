"""`townlet replay render`: play recordings again and show them as a page, a picture, a loop, or text."""

from __future__ import annotations

import enum
import os
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from townlet_cli.capture import note_first_compilation
from townlet_cli.console import command, count, next_step, note, progress, safe, warn, write_output

if TYPE_CHECKING:
    from townlet_core.render.animation import Animation, Part
    from townlet_core.render.recording import Recording
    from townlet_core.replay.limits import ReadLimits

SHEET = 6  # moments of a picture, unless told


class Format(enum.StrEnum):
    """Output format of a recording."""

    html = "html"
    png = "png"
    apng = "apng"
    gif = "gif"
    mp4 = "mp4"
    ansi = "ansi"


MOVING = (Format.apng, Format.gif, Format.mp4)


def render(
    paths: Annotated[
        list[Path],
        typer.Argument(
            help="A manifest, a folder with one, or a sample; two of the same town are shown side by side.",
        ),
    ],
    form: Annotated[
        Format,
        typer.Option("--format", help="HTML page with a player, picture, animation, video, or text."),
    ] = Format.html,
    output: Annotated[
        Path | None,
        typer.Option(help="File to write; by default beside the recording; - is stdout. Not for ansi."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file.")] = False,
    scenario: Annotated[
        Path | None, typer.Option(help="Scenario file, instead of the capture's own copy.")
    ] = None,
    town: Annotated[
        int | None, typer.Option(min=0, help="Town number; by default the first recorded.")
    ] = None,
    episode: Annotated[
        int | None, typer.Option(min=0, help="Episode number; by default the first recorded.")
    ] = None,
    first: Annotated[
        int | None, typer.Option("--from", min=0, help="First tick of the episode to show.")
    ] = None,
    last: Annotated[int | None, typer.Option("--to", min=1, help="Last tick to show.")] = None,
    tick: Annotated[
        int | None, typer.Option(min=0, help="Show one moment, after this many ticks; png and ansi.")
    ] = None,
    moments: Annotated[int, typer.Option(min=1, max=12, help="Number of moments in a png.")] = SHEET,
    every: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Ticks per frame; default: at most 240 frames; ansi shows ticks with events.",
        ),
    ] = None,
    fps: Annotated[
        int, typer.Option(min=1, max=60, help="Frames per second; apng, gif, mp4, and ansi on a terminal.")
    ] = 8,
    labels: Annotated[
        list[str] | None,
        typer.Option(
            "--label", help="Name of a recording, side by side; once for each. Default: folder and policy."
        ),
    ] = None,
    follow_links: Annotated[
        bool, typer.Option("--follow-links", help="Follow symbolic links that lead out of the folder.")
    ] = False,
) -> None:
    """Simulate a recording again and show it; without its scenario, show what the agent observed.

    Two recordings of the same scenario, seed, town and episode, by two policies, are shown side by side.
    """
    from townlet_core.inputs import STDIN
    from townlet_core.io import refuse_existing
    from townlet_core.render.animation import Part
    from townlet_core.replay.limits import ReadLimits

    _refuse_idle_options(paths, form, output, tick, every, labels)
    recordings = _recordings(paths, town, episode, ReadLimits(follow_links=follow_links))
    target = output or beside(recordings[0].path, form, town, episode, _other(recordings))
    if form is not Format.ansi and target != STDIN:
        refuse_existing(target, force)
    paint = _painter(form)
    animations = _replay_all(recordings, scenario, Part(first, last), labels)
    if animations[0].note:
        warn(animations[0].note)
    if form is Format.ansi:
        from townlet_cli.render_text import show_text

        show_text(animations[0], tick, every, fps)
        asked = {"--scenario": scenario, "--town": town, "--episode": episode}
        words = [word for option, value in asked.items() if value is not None for word in (option, value)]
        words += ["--follow-links"] if follow_links else []
        next_step(command("replay", "render", *paths, *words, "--format", "html"))
    elif form is Format.html:
        _write_page(animations, target)
    elif form is Format.png:
        _write_picture(animations[0], target, tick, moments)
    else:
        assert paint is not None  # for every format that moves
        _write_moving(animations, target, form, paint, every, fps)


def _refuse_idle_options(
    paths: Sequence[Path],
    form: Format,
    output: Path | None,
    tick: int | None,
    every: int | None,
    labels: Sequence[str] | None,
) -> None:
    """Raise InputError for an option that does not apply to this format, or to so many recordings."""
    from townlet_core.errors import InputError

    if len(paths) > 2:
        raise InputError(f"{len(paths)} recordings, expected one, or two to compare", "leave some out")
    if len(paths) == 2 and form in (Format.png, Format.ansi):
        raise InputError(
            f"--format {form.value} shows one recording, and two are given", "use html, apng, gif or mp4"
        )
    if labels and (len(paths) == 1 or len(labels) != len(paths)):
        raise InputError(
            "--label names each of two recordings", "give two recordings and two labels, or none"
        )
    if tick is not None and form not in (Format.png, Format.ansi):
        raise InputError(f"--tick shows one moment; {form.value} shows many", "use --from and --to")
    if every is not None and form not in (*MOVING, Format.ansi):
        raise InputError(f"--every is the ticks between frames; {form.value} has none", "leave it out")
    if output is not None and form is Format.ansi:
        raise InputError("--output is a file; ansi is printed", "redirect it instead: > FILE")


def _recordings(
    paths: Sequence[Path], town: int | None, episode: int | None, limits: ReadLimits
) -> list[Recording]:
    """Read one recording, or two of the same town; the second in the town and episode of the first."""
    from townlet_core.render.pair import check_same_town
    from townlet_core.render.recording import load_recording

    first = load_recording(paths[0], town, episode, limits)
    if len(paths) == 1:
        return [first]
    story = first.capture or {}
    second = load_recording(paths[1], story.get("town"), story.get("episode"), limits)
    check_same_town(first, second)
    return [first, second]


def _other(recordings: Sequence[Recording]) -> str:
    """Return what the name of a page of two recordings ends with."""
    return f"_beside_{os.path.realpath(recordings[1].path).split(os.sep)[-2]}" if len(recordings) == 2 else ""


def beside(path: Path, form: Format, town: int | None, episode: int | None, other: str = "") -> Path:
    """Name the output after the recording: rollout_sample_manifest.json becomes rollout_sample.html."""
    stem = path.name.removesuffix(path.suffix).removesuffix("manifest").rstrip("_") or path.parent.name
    stem += "" if town is None else f"_town{town}"
    stem += "" if episode is None else f"_episode{episode}"
    return path.with_name(f"{stem}{other}.{form.value}")


def _replay_all(
    recordings: Sequence[Recording], scenario: Path | None, part: Part, labels: Sequence[str] | None
) -> list[Animation]:
    """Play every recording again; of two, the ticks that both have."""
    from townlet_core.render.pair import label_of
    from townlet_core.render.resimulate import scenario_of, ticks_of

    if len(recordings) == 1:
        return [_replay(recordings[0], scenario, part)]
    ticks = [ticks_of(one, scenario_of(one, scenario)) for one in recordings]
    if part.last is None and min(ticks) < max(ticks):
        said = " and ".join(count(number, "tick") for number in ticks)
        warn(f"the recordings have {said}; shown are those that both have")
        part = part._replace(last=min(ticks))
    names = labels or [label_of(one) for one in recordings]
    return [
        _replay(one, scenario, part, is_alone=False)._replace(label=name)
        for one, name in zip(recordings, names, strict=True)
    ]


def _replay(recording: Recording, scenario: Path | None, part: Part, is_alone: bool = True) -> Animation:
    from townlet_core.errors import InputError
    from townlet_core.render.egocentric import egocentric_animation
    from townlet_core.render.resimulate import play_again, scenario_to_play, ticks_of

    loaded, why = scenario_to_play(recording, scenario)
    if loaded is None:
        if not is_alone:
            raise InputError(f"{recording.path}: {why}", "capture it without --agent to compare it")
        return egocentric_animation(recording, why, part)
    note_first_compilation()
    _, end = part.of(0, ticks_of(recording, loaded))
    with progress(f"playing {loaded.name} again", end) as advance:
        return play_again(recording, loaded, part, advance)


def _write_page(animations: Sequence[Animation], target: Path) -> None:
    from townlet_core.render.html import animation_page

    _write(target, animation_page(animations), _span(animations), "open {} in a browser")


def _write_picture(animation: Animation, target: Path, tick: int | None, moments: int) -> None:
    from townlet_core.render import poster
    from townlet_core.render.animation import key_moments

    shown = [animation.moment_at(tick)] if tick is not None else key_moments(animation, moments)
    one = len(shown) == 1
    image = poster.poster(animation, shown[0]) if one else poster.contact_sheet(animation, shown)
    said = "tick " + ", ".join(str(animation.scenes[moment].tick) for moment in shown)
    _write(target, poster.png(image), said, "look at {}", [animation])


_Painter = Callable[[Sequence["Animation"], list[int], int, Callable[..., None]], bytes]


def _painter(form: Format) -> _Painter | None:
    """Return what paints a moving picture from animations, moments and frames per second, for this format.

    Raises MissingLibraryError before anything is played again.
    """
    if form not in MOVING:
        return None
    from townlet_core.render.frames import paint_frames, shared_palette

    if form is Format.mp4:
        from townlet_core.render.video import mp4

        return lambda animations, shown, fps, advance: mp4(paint_frames(animations, shown), fps, advance)
    from townlet_core.render.loop import animated_png, gif

    save = gif if form is Format.gif else animated_png
    return lambda animations, shown, fps, advance: save(
        paint_frames(animations, shown), shared_palette(animations), 1000 // fps, advance
    )


def _write_moving(
    animations: Sequence[Animation], target: Path, form: Format, paint: _Painter, every: int | None, fps: int
) -> None:
    from townlet_core.render.frames import MAX_FRAMES, frames_of, stride_for

    stride = every or stride_for(animations[0])
    shown = frames_of(animations[0], stride, None if form is Format.mp4 else MAX_FRAMES)
    with progress("painting", len(shown)) as advance:
        data = paint(animations, shown, fps, advance)
    said = count(len(shown), "frame") + (f", one every {stride} ticks" if stride > 1 else "")
    look = "look at {} in a browser, which plays it" if form is Format.apng else "look at {}"
    _write(target, data, said, look, animations)


def _write(target: Path, data: bytes, said: str, look: str, recorded: Sequence[Animation] = ()) -> None:
    """Write a file and say what it shows, and of a part what was recorded; to stdout without a word."""
    from townlet_core.inputs import STDIN

    write_output(target, data, f"{safe(target)}: {said}, {len(data):,} bytes")
    if target == STDIN:
        return
    if recorded:
        note(f"[dim]recorded: {_span(recorded)}[/dim]")
    next_step(look.format(shlex.quote(str(target))))


def _span(animations: Sequence[Animation]) -> str:
    animation = animations[0]
    agents = sum(agent.alive for agent in animation.scenes[0].agents)
    ticks = f"ticks {animation.first_tick} to {animation.last_tick}"
    names = " | ".join(one.label for one in animations if one.label)
    return f"{safe(animation.title)}, {ticks}, {count(agents, 'agent')}" + (
        f", {safe(names)}" if names else ""
    )
