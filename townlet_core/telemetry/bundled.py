"""The alert rules that come with Townlet: a file for each bundled scenario, and one for any other.

`python tests/acceptance/baselines.py` derives their limits from measured baselines, see docs/baselines.md.
"""

from __future__ import annotations

from pathlib import Path

from townlet_core import io
from townlet_core.telemetry.alerts import AlertRule, load_alert_rules

RULES = Path(__file__).parent / "rules"
ANY = "any"  # limits that hold whatever the scenario


def bundled_rule_files() -> dict[str, Path]:
    """Return the bundled rule file of every scenario that has one by name, and `any`."""
    return {Path(name).stem: RULES / name for name in io.list_folder(RULES) if name.endswith(".yaml")}


def bundled_rules(scenario: object) -> list[AlertRule]:
    """Return the rules of the scenario that a record names, or those for any other."""
    files = bundled_rule_files()
    return load_alert_rules(files.get(scenario, files[ANY]) if isinstance(scenario, str) else files[ANY])
