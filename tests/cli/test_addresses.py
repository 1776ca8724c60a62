"""An address where a path is expected is refused, by every option and argument of every command."""

import pytest
import typer
from cli.command_line import COMMANDS
from documentation.cli_reference import walk

from townlet_cli.addresses import PARAMETERS
from townlet_cli.main import app
from townlet_core import io
from townlet_core.capture.capture import CaptureSettings, write_capture
from townlet_core.errors import InputError
from townlet_core.policy.scripted import ScriptedPolicy
from townlet_core.replay.manifest import load_manifest
from townlet_core.scenario.load import load_scenario


def places():
    """Yield the words of every command, with {} where one of its options and arguments has its value."""
    for words, command in walk(typer.main.get_command(app), ("townlet",)):
        for parameter in command.params:
            if parameter.param_type_name == "argument":
                yield (*words[1:], "{}")
            elif not parameter.is_flag:
                yield (*words[1:], parameter.opts[0], "{}")
                yield (*words[1:], f"{parameter.opts[0]}={{}}")


def takes_s3(words):
    """Whether the last of the words is a value that may be an s3:// address (tests/remote tries them)."""
    command = COMMANDS[max((name for name in COMMANDS if " ".join(words).startswith(name)), key=len)]
    name = PARAMETERS.get(next(name for name, one in COMMANDS.items() if one is command))
    [option] = [one for one in command.params if one.name == name] or [None]
    last = words[-1].partition("=")[0] if "=" in words[-1] else words[-2]
    return option is not None and (
        last in option.opts if option.param_type_name == "option" else last[0] != "-"
    )


@pytest.mark.parametrize("address", ["s3://bucket/x", "https://host/x.npz", "file:///tmp/x"])
def test_every_option_and_argument_refuses_an_address(townlet, tmp_path, monkeypatch, address):
    monkeypatch.chdir(tmp_path)
    found = [words for words in places() if address[:5] != "s3://" or not takes_s3(words)]
    assert len(found) > 100
    for words in found:
        code, out, err = townlet(*(word.format(address) for word in words))
        assert (code, out, err.splitlines()[0]) == (
            2,
            "",
            f"error: {address}: is an address, expected a path on this machine",
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["REPLAY_SAMPLE", "CAPTURE_DIR", "PPO_LOG"])
def test_an_address_in_a_variable_is_refused_and_nothing_made(townlet, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(f"TOWNLET_{name}", "s3://bucket/x")
    code, _, err = townlet("train", "queue_conflict", "--cycles", "1")
    assert (code, err.splitlines()[0]) == (
        2,
        f"error: TOWNLET_{name}: s3://bucket/x: is an address, expected a path on this machine",
    )
    assert list(tmp_path.iterdir()) == []


def test_the_core_makes_no_folder_of_an_address(tmp_path):
    plan = load_scenario("observation_baseline")
    settings = CaptureSettings(ticks=1, num_towns=1, seed=0, epsilon=0.0, prefix="x")
    with pytest.raises(InputError, match=r"s3://bucket.*: is an address"):
        write_capture(plan, ScriptedPolicy(plan), settings, tmp_path / "s3:" / "bucket")
    with pytest.raises(InputError, match="is an address"):
        io.read_file("s3://bucket/x.json")


def test_a_manifest_that_lists_addresses_is_refused_in_these_words(tmp_path):
    (tmp_path / "m.json").write_text('["s3://bucket/a.npz"]')
    with pytest.raises(InputError, match=r"samples\[0\]\.sample: 's3://bucket/a\.npz' is an address"):
        load_manifest(tmp_path / "m.json")
