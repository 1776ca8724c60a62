"""No mutant of a file does more than be refused, and a reader that errs is found."""

import os
import signal
import subprocess
import sys
from argparse import Namespace
from contextlib import suppress
from pathlib import Path
from random import Random

import fuzz
import fuzz_corpus
import fuzz_targets
import fuzz_worker
import pytest
from fuzz_targets import FORMATS
from hypothesis import given, settings
from hypothesis import strategies as st

from townlet_core.errors import TownletError

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """The inputs of each format."""
    folder = tmp_path_factory.mktemp("corpus")
    fuzz_corpus.build_corpus(folder)
    return {name: fuzz_corpus.read_corpus(folder, name) for name in FORMATS}


def test_hundreds_of_mutants_of_each_format_are_read_within_their_bounds():
    command = [sys.executable, str(HERE / "fuzz.py"), "--mutants", "300", "--processes", "1"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert [line.split()[:2] for line in ended.stdout.splitlines()[2:]] == [[name, "300"] for name in FORMATS]


@pytest.mark.parametrize("name", FORMATS)
def test_any_mutant_is_refused_or_read_as_others_read_it(name, corpus, tmp_path_factory):
    folder, form = tmp_path_factory.mktemp(name), FORMATS[name]

    @settings(max_examples=50)
    @given(st.sampled_from(range(len(corpus[name]))), st.randoms(use_true_random=False))
    def read(number, chance):
        for path in folder.iterdir():
            path.unlink()
        fuzz_worker.write_files(folder, fuzz_worker.mutated(form.mutate, corpus[name][number], chance), {})
        with suppress(TownletError):
            form.check(folder)

    read()


def test_mutants_are_a_function_of_the_seed(corpus):
    for name, form in FORMATS.items():
        first, second = (fuzz_worker.mutant(form, corpus[name], f"1/{name}/7") for _ in range(2))
        assert first == second
        assert first != fuzz_worker.mutant(form, corpus[name], f"2/{name}/7")


def wrong_reader(what):
    """Return a check of events that errs, as `what` does, at logs that hold a zero byte."""

    def check(folder):
        if b"\0" in (folder / "a_events.jsonl").read_bytes():
            what()

    return check


def hang():
    while True:
        pass


def answer_wrongly():
    raise AssertionError("other events")


LOG = b'{"tick":1,"town":0,"type":"faint"}\n' * 3
FAULTS = {
    "another error": (lambda: {}["key"], "KeyError: 'key'"),
    "a wrong answer": (answer_wrongly, "AssertionError: other events"),
    "an endless loop": (hang, "takes more than 1 s of processor time"),
    "much memory": (lambda: bytearray(1 << 30), "takes more than 256 MB of memory"),
    "a dead process": (lambda: os.kill(os.getpid(), signal.SIGKILL), "the process died with exit code -9"),
}


@pytest.mark.parametrize(("what", "message"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_found_made_smaller_saved_and_read_again(what, message, tmp_path, monkeypatch, capsys):
    sound, inputs = FORMATS["events"], [{"a_events.jsonl": LOG}]
    form = sound._replace(mutate=zero_byte, again=zero_byte, check=wrong_reader(what))
    monkeypatch.setitem(fuzz_targets.FORMATS, "events", form)
    monkeypatch.setattr(fuzz, "FOUND", tmp_path)
    monkeypatch.setattr(fuzz, "ROOT", tmp_path)
    assert fuzz.hunt("events", inputs, Namespace(seed=1, mutants=4, processes=1))
    said = capsys.readouterr().err
    assert message in said
    (folder,) = tmp_path.iterdir()
    assert f"again: python tests/fuzz/fuzz.py --replay {folder.name}" in said
    data = (folder / "a_events.jsonl").read_bytes()
    assert sum(byte != sound for byte, sound in zip(data, LOG, strict=True)) == 1
    assert message in fuzz.in_child(fuzz.read_once, "events", {"a_events.jsonl": data})


def zero_byte(files: dict[str, bytes], chance: Random) -> dict[str, bytes]:
    """Put a zero byte somewhere."""
    data = bytearray(files["a_events.jsonl"])
    data[chance.randrange(len(data))] = 0
    return {"a_events.jsonl": bytes(data)}
