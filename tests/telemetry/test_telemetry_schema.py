"""The JSON Schema accepts and refuses the records that `validate` does."""

import random

import orjson
import pytest
from jsonschema import Draft202012Validator
from mutated_logs import VALUES, real_log

from townlet_core.telemetry.records import check_record, parse_record
from townlet_core.telemetry.schema import telemetry_schema

VALIDATOR = Draft202012Validator(telemetry_schema())


def test_it_is_a_schema_of_every_reference_record(reference):
    Draft202012Validator.check_schema(telemetry_schema())
    for log in reference.glob("*.jsonl"):
        for line in log.read_bytes().splitlines():
            assert list(VALIDATOR.iter_errors(orjson.loads(line))) == []


@pytest.mark.parametrize("seed", range(4))
def test_schema_and_check_agree_on_changed_records(seed):
    draw, problems = random.Random(seed), 0
    for line in real_log(60):
        record = orjson.loads(line)
        name = draw.choice([*record, "note"])
        if draw.random() < 0.3:
            record.pop(name, None)
        else:
            value = draw.choice(
                [value for value in VALUES if value[-1:].isalnum() is False or len(value) < 9]
            )
            try:
                record = {**record, **parse_record(b'{"%s":%s}' % (name.encode(), value))[0]}
            except ValueError:
                continue
        if any(value != value or value in (float("inf"), -float("inf")) for value in record.values()):
            continue  # not JSON
        found = check_record(record)
        problems += bool(found)
        assert bool(list(VALIDATOR.iter_errors(record))) == bool(found), (found, name, record.get(name))
    assert problems > 10


def test_the_command_prints_it(townlet):
    code, printed, _ = townlet("telemetry", "schema")
    assert code == 0
    assert orjson.loads(printed) == orjson.loads(orjson.dumps(telemetry_schema()))
