"""Write the table of public names, from the package itself, into docs/python.md."""

import inspect
import re
from pathlib import Path

import townlet_core as townlet

DOCS = Path(__file__).resolve().parents[2] / "docs" / "python.md"
BEGIN, END = "<!-- public names, written by `make docs` -->\n", "<!-- end -->\n"
MANY = 12  # parameters; such classes have a table of their own
ELSEWHERE = {
    "Scenario": "keys of [scenarios.md](scenarios.md)",
    "TrainingSettings": "settings of [cli.md](cli.md#settings-of-a-training-run)",
}


def with_names(page):
    """Return docs/python.md with its table of names as it is now."""
    before, rest = page.split(BEGIN)
    return before + BEGIN + names_table() + END + rest.split(END)[1]


def names_table():
    """Write each public name with its parameters and the first sentence of its docstring."""
    rows = [f"| `{spelling(name)}` | {sentence(name)} |" for name in townlet.PUBLIC]
    return "\n".join(["| name | what it is for |", "| --- | --- |", *rows, ""])


def spelling(name):
    """Spell a call of the name with its parameters and defaults, without types."""
    if name == "TownletError":
        return name
    parameters = inspect.signature(getattr(townlet, name)).parameters.values()
    if len(parameters) > MANY:
        return f"{name}(…)"
    return name + str(inspect.Signature([shortened(parameter) for parameter in parameters]))


def shortened(parameter):
    """Leave out a parameter's type, and a default that is no plain value."""
    plain = isinstance(parameter.default, bool | int | str | tuple | type | None)
    default = parameter.default if plain else Unspelled()
    return parameter.replace(annotation=parameter.empty, default=default)


class Unspelled:
    """A default that is spelled as an ellipsis."""

    def __repr__(self):
        return "…"


def sentence(name):
    """Return the first sentence of a docstring, on one line, and where the parameters are listed."""
    first = re.split(r"(?<=[.:]) ", " ".join(inspect.getdoc(getattr(townlet, name)).split()))[0]
    more = f" Takes the {ELSEWHERE[name]}." if name in ELSEWHERE else ""
    return re.sub(r"[.:]$", "", first) + "." + more
