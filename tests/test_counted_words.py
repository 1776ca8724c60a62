"""One of a thing is not called by its plural, in no message and in no report."""

import ast
import re
from itertools import pairwise
from pathlib import Path

import pytest

from townlet_core.errors import count

ROOT = Path(__file__).resolve().parents[1]
NOUNS = """
    action agent alert array batch column count cycle entry episode event expectation feature file frame kind
    line manifest mistake object parameter pass point problem record row sample seed step tick tile town
    transition update value warning
""".split()  # noqa: SIM905 - a list of words
PLURAL = re.compile(rf" (?:[a-z-]+ )?(?:{'|'.join(NOUNS)})e?s\b")
# Never 1: what is told only where it is more, and what is refused for being less.
NEVER_ONE = {
    ("townlet_cli/render.py", "stride"),
    ("townlet_cli/train.py", "batch.transitions"),
    ("townlet_core/envs/newcomer_names.py", "sum(counts)"),
    ("townlet_core/render/animation.py", "last - first"),
    ("townlet_core/render/frames.py", "len(shown)"),
    ("townlet_core/render/frames.py", "stride_for(animation)"),
    ("townlet_core/replay/dataset.py", "least"),
    ("townlet_core/replay/manifest.py", "len(names)"),
    ("townlet_core/replay/manifest.py", "len(listed)"),
    ("townlet_core/replay/npz.py", "count"),
    ("townlet_core/scenario/validate.py", "drawn"),
    ("townlet_core/simulation/towns.py", "num_towns"),
    ("townlet_core/telemetry/alerts.py", "rule.mode"),  # no number
    ("townlet_core/telemetry/watch.py", "self.damaged"),
}


@pytest.mark.parametrize(
    ("number", "noun", "said"),
    [
        (0, "problem", "no problems"),
        (1, "problem", "1 problem"),
        (2, "problem", "2 problems"),
        (1, "sample pass", "1 sample pass"),
        (190196, "sample pass", "190,196 sample passes"),
        (3, "batch", "3 batches"),
    ],
)
def test_a_count_says_how_many_of_what(number, noun, said):
    assert count(number, noun) == said


@pytest.mark.parametrize(
    "file", sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("townlet_c*/**/*.py"))
)
def test_no_message_puts_a_plural_behind_a_number_that_may_be_1(file):
    found = []
    for node in ast.walk(ast.parse((ROOT / file).read_text())):
        parts = node.values if isinstance(node, ast.JoinedStr) else []
        for number, text in pairwise(parts):
            if isinstance(number, ast.FormattedValue) and isinstance(text, ast.Constant):
                said = ast.unparse(number.value)
                is_limit = re.search(r"[A-Z]{3}|limits\.", said)
                if PLURAL.match(text.value) and not is_limit and (file, said) not in NEVER_ONE:
                    found.append(f"line {node.lineno}: {{{said}}}{text.value}")
    assert found == []
