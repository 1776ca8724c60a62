"""The page about measures explains each one, and its worked example is right."""

import re

import numpy as np
import pytest
from generate import DOCS

from townlet_core.measures.inequality import gini
from townlet_core.measures.table import MEASURES

PAGE = (DOCS / "measures.md").read_text("utf-8")


def test_the_table_has_every_measure_in_order():
    rows = re.findall(r"^\| (`.*?) \|", PAGE.split("\n## ")[0], re.MULTILINE)
    assert [name for row in rows for name in re.findall(r"`(\w+)`", row)] == list(MEASURES)


def test_the_worked_example_is_what_is_computed():
    text = " ".join(PAGE.split())
    amounts, expected = re.search(r"earn ([\d and]+) have G = .*? = ([\d.]+)\. ", text).groups()
    assert gini(np.array([float(n) for n in amounts.split(" and ")])) == pytest.approx(float(expected))
