"""The conventions of docs/cli-conventions.md, each on every command. Beside: help, errors."""

import gzip
import io
import json
import pydoc
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from cli.command_line import (
    CAPTURE,
    CLI_PAGE,
    COMMANDS,
    EVERYTHING,
    PAGE,
    ROOT,
    RUN,
    SCENARIO,
    call,
    options_of,
    parse,
)

from townlet_cli.parameters import facts_of, is_switch


def test_the_page_lists_these_tests_and_there_are_36():
    listed = re.findall(r"^\| (\d+) \| .* \| `(test_\w+)` \|$", PAGE, re.MULTILINE)
    assert [int(number) for number, _ in listed] == list(range(1, 37))
    tests = "\n".join(path.read_text() for path in Path(__file__).parent.glob("test_conventions*.py"))
    assert {name for _, name in listed} < set(re.findall(r"^def (\w+)", tests, re.MULTILINE))
    assert len({name for _, name in listed}) == 36


@pytest.mark.parametrize("words", EVERYTHING)
def test_long_options_are_lower_case_words(words):
    for option in options_of(EVERYTHING[words]):
        for name in (*option.opts, *option.secondary_opts):
            assert re.fullmatch(r"--[a-z]+(-[a-z]+)*|-[a-z]", name)


@pytest.mark.parametrize("words", EVERYTHING)
def test_every_short_option_has_a_long_one(words):
    for option in options_of(EVERYTHING[words]):
        assert any(name.startswith("--") for name in option.opts)


def test_a_letter_means_the_same_everywhere():
    meanings = {}
    for command in EVERYTHING.values():
        for option in options_of(command):
            long = next(name for name in option.opts if name.startswith("--"))
            for name in option.opts:
                if not name.startswith("--"):
                    meanings.setdefault(name, set()).add(long)
    assert all(len(found) == 1 for found in meanings.values()), meanings


@pytest.mark.parametrize("words", COMMANDS)
def test_common_options_have_their_usual_letters(words):
    letters = {"--output": "-o", "--config": "-c", "--force": "-f", "--dry-run": "-n"}
    for option in options_of(COMMANDS[words]):
        for name in option.opts:
            assert letters.get(name, option.opts[0]) in option.opts
            assert name not in ("--out", "--quiet", "--verbose", "--overwrite", "--yaml", "--noop")


def test_the_order_of_options_does_not_matter():
    shown = call("scenario show observation_baseline --json")
    assert call("scenario show --json observation_baseline") == shown
    for flag in ("-q", "--no-progress", "--color never", "--color=never"):
        for line in (f"{flag} scenario show", f"scenario {flag} show", f"scenario show {flag}"):
            assert call(f"{line} observation_baseline --json") == shown


@pytest.mark.parametrize("words", COMMANDS)
def test_a_value_follows_a_space_or_an_equals_sign(words):
    for option in options_of(COMMANDS[words]):
        if not is_switch(option):
            spaced, joined = (
                call([*words.split(), *given])
                for given in ([option.opts[0], "s3://a/b"], [f"{option.opts[0]}=s3://a/b"])
            )
            assert spaced == joined


@pytest.mark.parametrize(
    "words",
    [
        w
        for w, c in COMMANDS.items()
        if any(p.nargs == 1 and p.required and p.param_type_name == "argument" for p in c.params)
    ],
)
def test_two_dashes_end_the_options(words):
    required = [
        w
        for o in options_of(COMMANDS[words])
        if o.required
        for w in (o.opts[0], (facts_of(o, COMMANDS[words]).choices or ("x",))[0])
    ]
    arguments = [p for p in COMMANDS[words].params if p.param_type_name == "argument"]
    context = parse([*words.split(), *required, "--", *["--odd"] * len(arguments)])
    assert str(context.params[arguments[0].name]) == "--odd"


def test_a_dash_is_stdin_and_stdout(here, tmp_path):
    text = SCENARIO.read_bytes()
    assert call("scenario validate -", text)[:2] == (0, "-: valid, ticks 20, agents 1, objects 0\n")
    assert call("scenario show -", text)[1] == call("scenario show observation_baseline")[1]
    code, _, said = call(f"capture - --ticks 3 -o {tmp_path}/c", text)
    assert code == 0
    assert f"next: townlet train {tmp_path}/c/rollout_sample_scenario.yaml" in said
    settings = b"training: {cycles: 1, source: rollout, num_towns: 1, rollout_ticks: 3, warm_start_epochs: 0}"
    assert "-:1:91: training.warm_start_epochs" in call(f"train -c - -o {tmp_path}/r", settings)[2]
    assert call("scenario schema -o -")[1] == call("scenario schema")[1]
    assert (
        call("scenario new inn -o -")[1]
        == call("scenario new inn --from - -o -", call("scenario new inn -o -")[1].encode())[1]
    )
    log = Path("a.jsonl").read_bytes()
    with subprocess.Popen(
        [sys.executable, "-m", "townlet_cli", "telemetry", "validate", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as reader:
        assert reader.communicate(log)[0].startswith(b"-: ")


def test_a_run_from_stdin_resumes_from_its_own_copy(here, tmp_path):
    tiny = "--mode rollout --num-towns 1 --rollout-ticks 4 --num-epochs 1 --hidden-size 8"
    code, _, said = call(
        f"train - --cycles 1 {tiny} -o {tmp_path}/r -q",
        (ROOT / "scenarios" / "queue_conflict.yaml").read_bytes(),
    )
    assert (code, said) == (0, "")
    assert call(f"train --resume {tmp_path}/r --cycles 2 -q")[::2] == (0, "")


def test_gz_is_read_and_written(here, tmp_path):
    packed = tmp_path / "town.yaml.gz"
    packed.write_bytes(gzip.compress(SCENARIO.read_bytes()))
    assert call(f"scenario show {packed}")[1] == call("scenario show observation_baseline")[1]
    assert call(f"scenario schema -o {tmp_path}/s.json.gz -q")[0] == 0
    assert gzip.decompress((tmp_path / "s.json.gz").read_bytes()).decode() == call("scenario schema")[1]
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(Path("a.jsonl").read_bytes()))
    assert call(f"telemetry validate {tmp_path}/a.jsonl.gz")[0] == 0
    packed.write_bytes(gzip.compress(bytes(1 << 20)))
    assert "more than 524,288 bytes" in call(f"scenario validate {packed}")[1]
    packed.write_bytes(b"plain")
    assert "is not gzip data, or damaged" in call(f"scenario validate {packed}")[1]


def test_nothing_asks_a_question():
    sources = [path.read_text() for path in (ROOT / "townlet_cli").glob("*.py")]
    assert not any(re.search(r"\b(input|getpass|confirm|prompt)\(", text) for text in sources)


def test_results_and_talk_are_apart(here):
    code, out, err = call(f"replay inspect {CAPTURE}")
    assert code == 0
    assert "next:" in err
    assert "next:" not in out
    assert call("docs cli")[2] == ""


@pytest.mark.parametrize(
    "line", ["scenario list", f"replay inspect {CAPTURE}", f"telemetry summary {RUN}", "docs"]
)
def test_quiet_changes_no_result(here, line):
    assert call(f"{line} -q")[1:] == (call(line)[1], "")
    assert call(f"{line} -v")[1] == call(line)[1]


# They print or write one text.
WITHOUT_JSON = {
    "docs",
    "report",
    "replay render",
    "runs export",
    "scenario new",
    "scenario schema",
    "telemetry rules",
    "telemetry schema",
}
REPORTS = [
    "scenario list",
    "scenario show queue_conflict",
    "scenario validate my_town.yaml",
    "doctor",
    "compile",
    "capture observation_baseline --ticks 3 -o {new}",
    "capture observation_baseline --ticks 3 -o {new} --dry-run",
    "study plan.yaml --list",
    "train queue_conflict -o {new} --dry-run",
    f"replay validate {CAPTURE}",
    f"replay inspect {CAPTURE}",
    f"replay inspect {CAPTURE}/rollout_sample_anna_001.npz",
    f"replay stats {CAPTURE}",
    f"replay pack {CAPTURE} -o {{new}}",
    f"replay filter {CAPTURE} -o captures/filtered_manifest.json --force",
    f"replay slice {CAPTURE} --ticks 0:5 -o {{new}}",
    f"replay merge {CAPTURE} -o {{new}}",
    "replay list",
    f"replay diff {CAPTURE} captures/day",
    "replay prune captures --keep 0",
    f"replay export {CAPTURE} --to parquet -o {{new}}",
    f"telemetry summary {RUN}",
    f"telemetry validate {RUN}",
    f"telemetry watch {RUN}",
]


def documented_keys():
    """Read the table of docs/cli.md: schema without its number → keys."""
    rows = re.findall(r"^\| `(townlet\.[a-z.]+)/1` \| (.*) \|$", CLI_PAGE, re.MULTILINE)
    return {name: set(re.findall(r"`(\w+)`", keys)) for name, keys in rows}


def test_reports_come_as_json():
    with_json = {words for words, c in COMMANDS.items() if any("--json" in o.opts for o in options_of(c))}
    assert COMMANDS.keys() - with_json == WITHOUT_JSON
    schemas = {f"townlet.{words.replace(' ', '.')}" for words in with_json}
    assert documented_keys().keys() == schemas | {"townlet.version"}


@pytest.mark.parametrize("line", REPORTS)
def test_json_names_its_schema_and_its_keys_are_documented(here, tmp_path, line):
    code, out, _ = call(f"{line.format(new=tmp_path / 'new')} --json -q")
    assert code in ((0, 1, 3) if line == "doctor" else (0,))
    text = out.splitlines()[0] if "watch" in line else out
    found = json.loads(text)
    words = max((words for words in COMMANDS if line.startswith(words)), key=len)
    assert next(iter(found.items())) == ("schema", f"townlet.{words.replace(' ', '.')}/1")
    assert found.keys() - {"schema"} <= documented_keys()[f"townlet.{words.replace(' ', '.')}"]


@pytest.mark.parametrize(
    ("flags", "variables", "coloured"),
    [
        ("", {}, False),
        ("", {"FORCE_COLOR": "1"}, True),
        ("", {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ("", {"FORCE_COLOR": "1", "TERM": "dumb"}, False),
        ("--color always", {"NO_COLOR": "1", "TERM": "dumb"}, True),
        ("--color never", {"FORCE_COLOR": "1"}, False),
        ("--color auto", {"FORCE_COLOR": "1"}, True),
    ],
)
def test_colour_is_as_asked(flags, variables, coloured):
    variables = {"NO_COLOR": "", "FORCE_COLOR": "", **variables}
    assert ("\x1b" in call(f"capture nope {flags}", **variables)[2]) == coloured
    assert ("\x1b" in call(f"scenario list {flags}", **variables)[1]) == coloured
    assert ("\x1b" in call(f"--help {flags}", **variables)[1]) == (flags == "--color always")


class Terminal(io.TextIOWrapper):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


def test_progress_is_for_terminals(here):
    line = f"replay stats {CAPTURE}"
    on_a_terminal = partial(call, kind=Terminal, NO_COLOR="")
    assert "reading" in on_a_terminal(line, TERM="xterm")[2]
    assert "reading" not in on_a_terminal(f"{line} --no-progress", TERM="xterm")[2]
    assert "reading" not in on_a_terminal(f"{line} -q", TERM="xterm")[2]
    assert "\x1b" not in "".join(on_a_terminal(line, TERM="dumb")[1:])
    assert "reading" not in "".join(call(line)[1:])


def test_nothing_is_overwritten_unasked(here):
    for line in (f"capture queue_conflict -o {CAPTURE}", "scenario new my_town"):
        code, out, err = call(line)
        assert (code, out) == (2, "")
        assert "already exists" in err
        assert "--force" in err


def test_a_dry_run_touches_nothing(here):
    before = sorted((str(path), path.stat().st_mtime_ns) for path in here.rglob("*"))
    for line in (
        "capture queue_conflict --force -n",
        "capture town_day -n",
        "train queue_conflict -n",
        f"train queue_conflict -o {RUN} --force -n",
        "replay prune captures --keep 0 -n",
        "replay prune captures --keep 0",
    ):
        code, out, err = call(line)
        assert code == 0
        assert "would " in out + err or "to remove" in out
        assert "nothing was" in err
    assert call("replay prune captures --keep 0 -n --yes")[0] == 2
    assert sorted((str(path), path.stat().st_mtime_ns) for path in here.rglob("*")) == before


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("townlet ca", "capture"),
        ("townlet replay insp", "inspect"),
        ("townlet train --learn", "--learning-rate"),
        ("townlet train --mode ro", "rollout"),
        ("townlet capture queue", "queue_conflict"),
        ("townlet scenario show my", "my_town.yaml"),
        ("townlet train --resume r", RUN),
        ("townlet evaluate run", RUN),
        ("townlet evaluate scr", "scripted"),
        ("townlet telemetry watch r", RUN),
        ("townlet replay inspect captures/q", CAPTURE),
        ("townlet docs tel", "telemetry"),
    ],
)
def test_shells_complete_names(here, line, offered):
    words = line.split()
    bash = {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1), "_TOWNLET_COMPLETE": "complete_bash"}
    assert offered in call("", **bash)[1].splitlines()
    zsh = {"_TYPER_COMPLETE_ARGS": line, "_TOWNLET_COMPLETE": "complete_zsh"}
    assert f'"{offered}"' in call("", **zsh)[1]
    fish = {"_TYPER_COMPLETE_ARGS": line, "_TOWNLET_COMPLETE": "complete_fish"}
    assert offered in call("", _TYPER_COMPLETE_FISH_ACTION="get-args", **fish)[1]
    assert call("", _TYPER_COMPLETE_FISH_ACTION="is-args", **fish)[0] == 0


def test_the_version_for_people_and_machines():
    assert call("--version") == (0, "townlet 0.1.0\n", "")
    for line in ("--version --json", "--json --version", "scenario list --json --version"):
        found = json.loads(call(line)[1])
        assert (found["schema"], found["townlet"]) == ("townlet.version/1", "0.1.0")
        assert found["libraries"]["numpy"]
        assert found.keys() - {"schema"} <= documented_keys()["townlet.version"]
    assert call("--json scenario list")[0] == 2


def test_doctor_and_docs_help_where_no_network_is(monkeypatch):
    _, out, _ = call("doctor")
    names = {line.split()[0] for line in out.splitlines() if line}
    assert names >= {"townlet", "python", "libraries", "processor", "features", "threads", "memory", "GPU"}
    assert names >= {"cache", "disk", "terminal"}
    assert all(feature in out for feature in ("avx512f", "amx_tile", "amx_bf16"))
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")}
    listed = {line.split()[0] for line in call("docs")[1].splitlines()[1:]}
    assert listed == pages
    assert all(call(f"docs {page}")[1] == (ROOT / "docs" / f"{page}.md").read_text("utf-8") for page in pages)


def test_a_page_is_laid_out_and_paged_on_a_terminal(monkeypatch):
    paged = []
    monkeypatch.setattr(pydoc, "pager", paged.append)
    assert call("docs cli#exit-codes", kind=Terminal, TERM="xterm", NO_COLOR="")[0] == 0
    [text] = paged
    assert "## Exit codes" not in text
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert "a check completed and found problems" in plain
    assert max(map(len, plain.splitlines())) <= 80
