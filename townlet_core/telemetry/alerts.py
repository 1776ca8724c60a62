"""Alert rules, `FIELD OP NUMBER [for N] [in MODE]`: parsing, and evaluation on every record."""

from __future__ import annotations

import math
import operator
import re
from pathlib import Path
from typing import Any, NamedTuple

from townlet_core import io
from townlet_core.errors import InputError, did_you_mean, shown
from townlet_core.telemetry.fields import NUMBERS
from townlet_core.telemetry.records import Record, number
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


class AlertRule(NamedTuple):
    """Alert when `field op number` has held for `records` consecutive records."""

    text: str
    field: str
    op: str
    number: float
    records: int = 1  # in a row
    mode: str | None = None  # only records of this data mode count
    why: str = ""  # what the alert means, and what to do


class Alert(NamedTuple):
    """A rule that a record tripped."""

    rule: str
    field: str
    value: float
    why: str = ""


class Standing(NamedTuple):
    """How a field stands to the rules on it, in one data mode."""

    limit: str  # the range that its rules allow, in words; "" if no rule is on it
    state: str  # "ok", "2 of 3" while a condition has held for too few records, "ALERT"; "" without a value


def parse_alert_rule(text: str) -> AlertRule:
    """Parse one rule. Raises InputError naming the part that is not valid."""
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
    return AlertRule(text.strip(), field, match["op"], number, int(count), mode)


def _parse_number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def load_alert_rules(path: Path) -> list[AlertRule]:
    """Load a YAML or JSON list of rules; an entry is a rule, or a mapping of `alert`, `data_mode` and `why`.

    Raises MissingError, or InputError naming the entry.
    """
    path = Path(path)
    entries = io.read_json(path, MAX_RULES_BYTES) if path.suffix == ".json" else read_yaml(path)
    if type(entries) is not list or not entries:
        raise InputError(f"{path}: expected a list of rules", _HINT)
    return [_load_rule(f"{path}: rule {i}", entry) for i, entry in enumerate(entries, start=1)]


def _load_rule(place: str, entry: Any) -> AlertRule:
    if type(entry) is str:
        entry = {"alert": entry}
    if type(entry) is not dict or not {"alert"} <= entry.keys() <= {"alert", "data_mode", "why"}:
        expected = "expected a rule, or a mapping of `alert` and maybe `data_mode` and `why`"
        raise InputError(f"{place}: {expected}", _HINT)
    if not all(type(value) is str for value in entry.values()):
        raise InputError(f"{place}: expected text", _HINT)
    limited = f" in {entry['data_mode']}" if "data_mode" in entry else ""
    try:
        return parse_alert_rule(entry["alert"] + limited)._replace(why=entry.get("why", ""))
    except InputError as error:
        raise InputError(f"{place}: {error}", error.hint) from error


class AlertMonitor:
    """Evaluate rules on consecutive records, and count for how many each has held."""

    def __init__(self, rules: list[AlertRule]) -> None:
        self.rules = rules
        self._streaks = [0] * len(rules)
        self._values = [0] * len(rules)  # evaluated so far, per rule
        self._is_broken = [False] * len(rules)  # the latest value was not a finite number

    def check(self, record: Record) -> list[Alert]:
        """Return the rules this record trips.

        NaN, infinity and null (how some writers spell NaN) trip a rule at once. A record without the field,
        or of another mode, is skipped.
        """
        alerts = []
        for i, rule in enumerate(self.rules):
            if rule.field not in record or (rule.mode and record.get("data_mode") != rule.mode):
                continue
            value = number(record[rule.field])
            broken = not math.isfinite(value)
            holds = broken or COMPARISONS[rule.op](value, rule.number)
            self._streaks[i] = self._streaks[i] + 1 if holds else 0
            self._values[i] += 1
            self._is_broken[i] = broken
            if self._trips(i):
                alerts.append(Alert(rule.text, rule.field, value, rule.why))
        return alerts

    def _trips(self, i: int) -> bool:
        return self._is_broken[i] or self._streaks[i] >= self.rules[i].records

    def standing(self, field: str, mode: str | None) -> Standing:
        """Return how the latest value of a field stands to its rules in records of a data mode."""
        on_field = [
            i for i, rule in enumerate(self.rules) if rule.field == field and rule.mode in (None, mode)
        ]
        limit = allowed_range([self.rules[i] for i in on_field])
        tried = [i for i in on_field if self._values[i]]
        if not tried:
            return Standing(limit, "")
        if any(map(self._trips, tried)):
            return Standing(limit, "ALERT")
        nearest = max(tried, key=lambda i: self._streaks[i] / self.rules[i].records)
        if not self._streaks[nearest]:
            return Standing(limit, "ok")
        return Standing(limit, f"{self._streaks[nearest]} of {self.rules[nearest].records}")

    def untried(self) -> list[tuple[AlertRule, str]]:
        """Return each rule without enough values, and why it could not have tripped."""
        reasons = []
        for rule, values in zip(self.rules, self._values, strict=True):
            where = f" in {rule.mode} records" if rule.mode else ""
            if values == 0:
                reasons.append((rule, f"'{rule.text}' saw no value of {rule.field}{where}"))
            elif values < rule.records:
                found = f"only {values}, and needs {rule.records} in a row"
                reasons.append((rule, f"'{rule.text}' saw {found}"))
        return reasons


def allowed_range(rules: list[AlertRule]) -> str:
    """Say in words which values of one field trip none of its rules: `up to 0.2`, `0.1 to 0.9`, `not 0`."""
    low = max((rule.number for rule in rules if rule.op in ("<", "<=")), default=None)
    high = min((rule.number for rule in rules if rule.op in (">", ">=")), default=None)
    parts = []
    if low is not None and high is not None:
        parts.append(f"{low:.3g} to {high:.3g}")
    elif low is not None:
        parts.append(f"from {low:.3g}")
    elif high is not None:
        parts.append(f"up to {high:.3g}")
    parts += [f"not {rule.number:.3g}" for rule in rules if rule.op == "=="]
    parts += [f"only {rule.number:.3g}" for rule in rules if rule.op == "!="]
    return ", ".join(dict.fromkeys(parts))
