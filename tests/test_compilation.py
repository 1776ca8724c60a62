"""`townlet compile` leaves nothing for other commands to compile."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from townlet_core.simulation import towns

ROOT = Path(__file__).resolve().parents[1]

USED = """
import importlib, json, sys
from townlet_core import compilation, kernels
for job in (compilation._restart, *compilation.JOBS):
    job()
found = {
    f"{name}.{function}": [str(signature) for signature in value.signatures]
    for name in sys.argv[1:]
    for function, value in vars(importlib.import_module(name)).items()
    if isinstance(getattr(value, "_cache", None), kernels._KernelCache) and value.__module__ == name
}
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def used():
    """Return the types for which each kernel of the sources is compiled."""
    files = (ROOT / "townlet_core").rglob("*.py")
    with_kernels = [path for path in files if re.search(r"^@(kernel|cached_njit)\(", path.read_text(), re.M)]
    modules = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in with_kernels]
    ended = subprocess.run(
        [sys.executable, "-c", USED, *modules], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return json.loads(ended.stdout)


def test_every_kernel_is_compiled(used):
    assert len(used) > 10
    assert [kernel for kernel, signatures in used.items() if not signatures] == []


def test_observations_are_compiled_for_both_types_of_maps(used):
    for kernel in ("observe_few", "observe_many"):
        assert len(used[f"townlet_core.simulation.tick.{kernel}"]) == 2


def test_a_cache_that_cannot_be_written_is_refused_before_anything_is_compiled(
    townlet, tmp_path, monkeypatch
):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    for name in ("NUMBA_CACHE_DIR", "TOWNLET_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(towns, "is_compiled", lambda function: False)
    code, out, said = townlet("compile")
    assert (code, out) == (5, "")
    error, hint = said.splitlines()
    assert error.startswith(f"error: {tmp_path / 'file' / 'townlet'}: compiled rules can't be kept here")
    assert hint == "hint: let XDG_CACHE_HOME name a folder that only you can write"


def test_the_shared_cache_is_no_setting_of_training(townlet, tmp_path, monkeypatch):
    monkeypatch.setenv("TOWNLET_CACHE", str(tmp_path))
    assert townlet("config", "show")[0] == 0


def test_doctor_tells_a_cache_that_others_can_write(townlet, tmp_path, monkeypatch):
    tmp_path.chmod(0o777)
    monkeypatch.setenv("TOWNLET_CACHE", str(tmp_path))
    code, out, said = townlet("doctor", "--json")
    assert code == 1
    assert json.loads(out)["cache"]["shared"]["folder"] == str(tmp_path)
    assert f"{tmp_path}: not used, because other users can write to {tmp_path}" in said
