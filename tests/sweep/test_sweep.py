"""The short form of the sweep: some faults of every story. `make sweep` plays all of them."""

import re
import subprocess

import pytest
from sweep import compiler, sweep


@pytest.mark.skipif(compiler() is None, reason="needs a C compiler for the fault injector: cc, gcc or clang")
def test_a_disk_that_dies_or_fails_anywhere_leaves_what_can_be_finished():
    ended = sweep(["--faults", "6", "--processes", "1"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    stories = re.findall(
        r"^(.+): \d+ operations, (\d+) faults, (\d+) of them not survived", ended.stdout, re.M
    )
    assert [faults for _, faults, _ in stories] == ["6"] * 7, ended.stdout
    assert all(lost == "0" for _, _, lost in stories), ended.stdout
