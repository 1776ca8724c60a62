"""Alert rules: `FIELD OP NUMBER [for N] [in MODE]`, read from people and tried on every record."""

from __future__ import annotations

import math
import operator
import re
from pathlib import Path
from typing import Any, NamedTuple

from townlet_core import io
from townlet_core.errors import InputError, did_you_mean, shown
from townlet_core.telemetry.fields import NUMBERS
from townlet_core.telemetry.records import Record
from townlet_core.vocab import DATA_MODES
from townlet_core.yaml.reader import read_yaml

COMPARISONS = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}
MAX_RULES_BYTES = 1 << 20  # of JSON
_RULE = re.compile(
    r"(?P<field>[\w.]+)\s*(?P<op>>=|<=|==|!=|>|<)\s*(?P<number>\S+)"
    r"(?:\s+for\s+(?P<count>\S+))?(?:\s+in\s+(?P<mode>\S+))?"
)
_HINT = "write FIELD OP NUMBER [for N] [in MODE], such as 'kl_divergence > 0.2 for 3 in rollout'"


class Rule(NamedTuple):
    """Alert when `field op number` has held for `records` records in a row."""

    text: str
    field: str
    op: str
    number: float
    records: int = 1  # in a row
    mode: str | None = None  # only records of this data mode count


class Alert(NamedTuple):
    """A rule that a record tripped."""

    rule: str
    field: str
    value: float


def parse_rule(text: str) -> Rule:
    """Read one rule. Raises InputError saying which part of it makes no sense."""
    match = _RULE.fullmatch(text.strip())
    if match is None:
        raise InputError(f"alert {shown(text)}: not a rule", _HINT)
    field, mode = match["field"], match["mode"]
    if field not in NUMBERS:
        raise InputError(
            f"alert {shown(text)}: unknown field {shown(field)}{did_you_mean(field, NUMBERS)}", _HINT
        )
    if mode is not None and mode not in DATA_MODES:
        raise InputError(
            f"alert {shown(text)}: unknown mode {shown(mode)}{did_you_mean(mode, DATA_MODES)}", _HINT
        )
    number = _parse_number(match["number"])
    if number is None:
        raise InputError(f"alert {shown(text)}: {shown(match['number'])} is not a finite number", _HINT)
    count = match["count"] or "1"
    if not re.fullmatch(r"[1-9][0-9]{0,8}", count):
        raise InputError(f"alert {shown(text)}: {shown(count)} is not a number of records, 1 or more", _HINT)
    return Rule(text.strip(), field, match["op"], number, int(count), mode)


def _parse_number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def load_rules(path: Path) -> list[Rule]:
    """Read a YAML or JSON list of rules; an entry is a rule, or a mapping of `alert` and maybe `data_mode`.

    Raises MissingError, or InputError naming the entry.
    """
    path = Path(path)
    entries = io.read_json(path, MAX_RULES_BYTES) if path.suffix == ".json" else read_yaml(path)
    if type(entries) is not list or not entries:
        raise InputError(f"{path}: expected a list of rules", _HINT)
    return [_load_rule(f"{path}: rule {i}", entry) for i, entry in enumerate(entries, start=1)]


def _load_rule(place: str, entry: Any) -> Rule:
    if type(entry) is str:
        entry = {"alert": entry}
    if type(entry) is not dict or not {"alert"} <= entry.keys() <= {"alert", "data_mode"}:
        raise InputError(f"{place}: expected a rule, or a mapping of `alert` and maybe `data_mode`", _HINT)
    if not all(type(value) is str for value in entry.values()):
        raise InputError(f"{place}: expected text", _HINT)
    limited = f" in {entry['data_mode']}" if "data_mode" in entry else ""
    try:
        return parse_rule(entry["alert"] + limited)
    except InputError as error:
        raise InputError(f"{place}: {error}", error.hint) from error


class Alarm:
    """Try rules on one record after another, remembering for how long each has held."""

    def __init__(self, rules: list[Rule]) -> None:
        self.rules = rules
        self._streaks = [0] * len(rules)
        self._values = [0] * len(rules)  # looked at so far

    def check(self, record: Record) -> list[Alert]:
        """Return the rules this record trips.

        A field that is NaN, infinite, or null (how some writers spell NaN) trips at once. A record without
        the field, or of another mode, neither counts nor breaks the count.
        """
        alerts = []
        for i, rule in enumerate(self.rules):
            if rule.field not in record or (rule.mode and record.get("data_mode") != rule.mode):
                continue
            value = _to_float(record[rule.field])
            broken = not math.isfinite(value)
            holds = broken or COMPARISONS[rule.op](value, rule.number)
            self._streaks[i] = self._streaks[i] + 1 if holds else 0
            self._values[i] += 1
            if broken or self._streaks[i] >= rule.records:
                alerts.append(Alert(rule.text, rule.field, value))
        return alerts

    def untried(self) -> list[str]:
        """Say of each rule why it could not have tripped, if its field had too few values for that."""
        reasons = []
        for rule, values in zip(self.rules, self._values, strict=True):
            where = f" in {rule.mode} records" if rule.mode else ""
            if values == 0:
                reasons.append(f"'{rule.text}' saw no value of {rule.field}{where}")
            elif values < rule.records:
                found = f"only {values}, and needs {rule.records} in a row"
                reasons.append(f"'{rule.text}' saw {found}")
        return reasons


def _to_float(value: Any) -> float:
    return float(value) if type(value) in (int, float) else math.nan
