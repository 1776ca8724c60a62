"""Choose samples by agent, scenario and expression."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from townlet_core.errors import InputError, count, did_you_mean, shown
from townlet_core.handling.sources import Source
from townlet_core.replay.facts import sample_facts
from townlet_core.replay.limits import DEFAULT_LIMITS, ReadLimits
from townlet_core.replay.where import Facts, Where


def filter_samples(
    sources: Sequence[Source],
    where: str | None = None,
    agents: Sequence[str] = (),
    scenarios: Sequence[str] = (),
    limits: ReadLimits = DEFAULT_LIMITS,
) -> list[Source]:
    """Return the sources with the samples that meet all conditions; a source without any is left out.

    agents, scenarios: names, or patterns with `*`; a sample meets the condition if one of them fits. Only
    metadata is read. Raises InputError for an expression that cannot be evaluated, for a name that no
    sample has, and if no sample is left.
    """
    expression = None if where is None else Where(where)
    seen = {"agent_id": set[str](), "scenario": set[str]()}
    unknown = dict(expression.names) if expression else {}
    known: set[str] = set()

    def is_wanted(facts: Facts, sample: str) -> bool:
        for name in facts.keys() - known:
            known.add(name)
            unknown.pop(name, None)
        for name, values in seen.items():
            values.add(str(facts.get(name, "")))
        return (
            _fits(agents, facts.get("agent_id"))
            and _fits(scenarios, facts.get("scenario"))
            and (expression is None or expression.holds(facts, sample))
        )

    kept = [
        Source(
            source.manifest,
            [entry for entry in source.entries if is_wanted(sample_facts(entry, limits), str(entry.sample))],
        )
        for source in sources
    ]
    for name, place in unknown.items():  # a part that was never evaluated may be misspelt all the same
        raise InputError(f"{place}: no sample has {shown(name)}{did_you_mean(name, sorted(known))}")
    for word, patterns, name in (("agent", agents, "agent_id"), ("scenario", scenarios, "scenario")):
        for pattern in patterns:
            if not any(fnmatchcase(value, pattern) for value in seen[name]):
                near = did_you_mean(pattern, sorted(seen[name]))
                raise InputError(f"--{word}: no sample is of {shown(pattern)}{near}")
    kept = [source for source in kept if source.entries]
    if not kept:
        total = sum(len(source.entries) for source in sources)
        raise InputError(f"the conditions keep none of {count(total, 'sample')}", "loosen them")
    return kept


def _fits(patterns: Sequence[str], value: object) -> bool:
    return not patterns or any(fnmatchcase(str(value or ""), pattern) for pattern in patterns)
