"""`townlet replay render`: play a recording again and show it as a page, a picture, a loop, or text."""

from __future__ import annotations

import enum
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from townlet_cli.capture import note_first_compilation
from townlet_cli.console import command, count, next_step, note, out, progress, safe, warn

if TYPE_CHECKING:
    from townlet_core.render.animation import Animation, Part
    from townlet_core.render.recording import Recording

SHEET = 6  # moments of a picture, unless told


class Format(enum.StrEnum):
    """Output format of a recording."""

    html = "html"
    png = "png"
    apng = "apng"
    ansi = "ansi"


def render(
    path: Annotated[Path, typer.Argument(help="A manifest, a folder with one, or a sample.")],
    form: Annotated[
        Format,
        typer.Option("--format", help="HTML page with a player, picture, animation, or text."),
    ] = Format.html,
    output: Annotated[
        Path | None, typer.Option(help="File to write; by default beside the recording. Not for ansi.")
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
            min=1, help="Ticks per frame; default: apng has at most 240 frames, ansi shows ticks with events."
        ),
    ] = None,
    fps: Annotated[
        int, typer.Option(min=1, max=60, help="Frames per second; apng and ansi on a terminal.")
    ] = 8,
    follow_links: Annotated[
        bool, typer.Option("--follow-links", help="Follow symbolic links that lead out of the folder.")
    ] = False,
) -> None:
    """Simulate a recording again and show it; without its scenario, show what the agent observed."""
    from townlet_core.io import refuse_existing
    from townlet_core.render.animation import Part
    from townlet_core.render.recording import load_recording
    from townlet_core.replay.limits import ReadLimits

    _refuse_idle_options(form, output, tick, every)
    recording = load_recording(path, town, episode, ReadLimits(follow_links=follow_links))
    target = output or beside(recording.path, form, town, episode)
    if form is not Format.ansi:
        refuse_existing(target, force)
    animation = _replay(recording, scenario, Part(first, last))
    if animation.note:
        warn(animation.note)
    if form is Format.ansi:
        from townlet_cli.render_text import show_text

        show_text(animation, tick, every, fps)
        asked = {"--scenario": scenario, "--town": town, "--episode": episode}
        words = [word for option, value in asked.items() if value is not None for word in (option, value)]
        words += ["--follow-links"] if follow_links else []
        next_step(command("replay", "render", path, *words, "--format", "html"))
    elif form is Format.html:
        _write_page(animation, target)
    else:
        _write_picture(animation, target, form, tick, moments, every, fps)


def _refuse_idle_options(form: Format, output: Path | None, tick: int | None, every: int | None) -> None:
    """Raise InputError for an option that does not apply to this format."""
    from townlet_core.errors import InputError

    if tick is not None and form not in (Format.png, Format.ansi):
        raise InputError(f"--tick shows one moment; {form.value} shows many", "use --from and --to")
    if every is not None and form not in (Format.apng, Format.ansi):
        raise InputError(f"--every is the ticks between frames; {form.value} has none", "leave it out")
    if output is not None and form is Format.ansi:
        raise InputError("--output is a file; ansi is printed", "redirect it instead: > FILE")


def beside(path: Path, form: Format, town: int | None, episode: int | None) -> Path:
    """Name the output after the recording: rollout_sample_manifest.json becomes rollout_sample.html."""
    stem = path.name.removesuffix(path.suffix).removesuffix("manifest").rstrip("_") or path.parent.name
    stem += "" if town is None else f"_town{town}"
    stem += "" if episode is None else f"_episode{episode}"
    return path.with_name(f"{stem}.{form.value}")


def _replay(recording: Recording, scenario: Path | None, part: Part) -> Animation:
    from townlet_core.render.egocentric import egocentric_animation
    from townlet_core.render.resimulate import is_complete, play_again, scenario_of, ticks_of

    if recording.capture is None:
        why = "its recording is of the older generation, which does not say where it comes from"
        return egocentric_animation(recording, why, part)
    loaded = scenario_of(recording, scenario)
    if not is_complete(recording, loaded):
        why = "a network played, and not everybody was recorded"
        return egocentric_animation(recording, why, part)
    note_first_compilation()
    _, end = part.of(0, ticks_of(recording, loaded))
    with progress(f"playing {loaded.name} again", end) as advance:
        return play_again(recording, loaded, part, advance)


def _write_page(animation: Animation, target: Path) -> None:
    from townlet_core.io import write_file
    from townlet_core.render.html import animation_page

    page = animation_page([animation])
    write_file(target, page)
    out.print(f"{safe(target)}: {_span(animation)}, {len(page):,} bytes")
    next_step(f"open {shlex.quote(str(target))} in a browser")


def _write_picture(
    animation: Animation,
    target: Path,
    form: Format,
    tick: int | None,
    moments: int,
    every: int | None,
    fps: int,
) -> None:
    from townlet_core.io import write_file
    from townlet_core.render import poster
    from townlet_core.render.animation import key_moments

    if form is Format.apng:
        stride = every or poster.stride_for(animation)
        shown = poster.frames_of(animation, stride)
        with progress("painting", len(shown)) as advance:
            data = poster.animate(animation, shown, 1000 // fps, advance)
        said = count(len(shown), "frame") + (f", one every {stride} ticks" if stride > 1 else "")
    else:
        shown = [animation.moment_at(tick)] if tick is not None else key_moments(animation, moments)
        image = (
            poster.poster(animation, shown[0]) if len(shown) == 1 else poster.contact_sheet(animation, shown)
        )
        data = poster.png(image)
        said = "tick " + ", ".join(str(animation.scenes[moment].tick) for moment in shown)
    write_file(target, data)
    out.print(f"{safe(target)}: {said}, {len(data):,} bytes")
    note(f"[dim]recorded: {_span(animation)}[/dim]")
    player = " in a browser, which plays it" if form is Format.apng else ""
    next_step(f"look at {shlex.quote(str(target))}{player}")


def _span(animation: Animation) -> str:
    agents = sum(agent.alive for agent in animation.scenes[0].agents)
    ticks = f"ticks {animation.first_tick} to {animation.last_tick}"
    return f"{safe(animation.title)}, {ticks}, {count(agents, 'agent')}"
