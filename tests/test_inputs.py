"""Files as people name them: stdin, compressed, within bounds."""

import gzip
import io
import sys
from pathlib import Path

import pytest

from townlet_core import inputs
from townlet_core.errors import InputError, MissingFileError
from townlet_core.scenario.catalogue import find_scenario


@pytest.fixture
def stdin(monkeypatch):
    def give(data):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    return give


def test_a_dash_is_stdin_and_may_be_read_again(stdin):
    for text in (b"one", b"another"):
        stdin(text)
        assert inputs.read_input(Path("-")) == text
        assert inputs.read_input(Path("-")) == text


def test_a_closed_stdin_is_empty(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    assert inputs.read_input(Path("-")) == b""


def test_more_than_the_limit_is_refused_wherever_it_comes_from(stdin, tmp_path):
    stdin(b"12345")
    (tmp_path / "a").write_bytes(b"12345")
    (tmp_path / "a.gz").write_bytes(gzip.compress(bytes(100_000)))
    for path in (Path("-"), tmp_path / "a", tmp_path / "a.gz"):
        with pytest.raises(InputError, match=r"more than (4|500) bytes"):
            inputs.read_input(path, 500 if path.suffix else 4)


def test_gz_is_decompressed_and_damage_is_a_sentence(tmp_path):
    packed = tmp_path / "a.gz"
    packed.write_bytes(inputs.compress(b"text" * 100))
    assert inputs.read_input(packed) == b"text" * 100
    for damaged in (b"text", packed.read_bytes()[:-9], packed.read_bytes()[:-1] + b"x", b""):
        packed.write_bytes(damaged)
        if damaged:
            with pytest.raises(InputError, match=r"a\.gz: is not gzip data, or damaged"):
                inputs.read_input(packed)
    with pytest.raises(MissingFileError):
        inputs.read_input(tmp_path / "b.gz")


def test_equal_data_compresses_to_equal_bytes():
    assert inputs.compress(b"text") == inputs.compress(b"text")


def test_a_scenario_may_be_named_by_a_dash_or_a_compressed_file():
    assert find_scenario("-") == Path("-")
    assert find_scenario("town.yaml.gz") == Path("town.yaml.gz")
