"""Reading whole blocks of lines finds what reading line by line does."""

import orjson
import pytest
from mutated_logs import compare, mutated_log, real_log

from townlet_core.telemetry import reader
from townlet_core.telemetry.decode import BlockDecoder
from townlet_core.telemetry.fields import NUMBERS, required_fields
from townlet_core.telemetry.statistics import Statistics
from townlet_core.telemetry.summary import Summary, summarise, summary_json
from townlet_core.vocab import DATA_MODES


@pytest.fixture
def decoder():
    """A decoder that knows the records of a real log."""
    made = BlockDecoder()
    made.learn(map(orjson.loads, real_log(64)))
    return made


@pytest.mark.parametrize("seed", range(3))
def test_mutated_logs_are_read_alike_by_blocks_and_by_lines(seed):
    accepted, problems = compare(1000, seed)
    assert accepted > 10
    assert problems > 5


def test_a_block_of_good_lines_is_accepted_whole(decoder):
    block = decoder.decode(b"\n".join(real_log(64)) + b"\n", True)
    records = [orjson.loads(line) for line in real_log(64)]
    assert (block.size, block.offsets) == (64, tuple(range(1, 65)))
    assert [DATA_MODES[place] for place in block.numbers.modes] == [record["data_mode"] for record in records]
    for row, record in zip(block.numbers.table.tolist(), records, strict=True):
        found = {name: value for name, value in zip(NUMBERS, row, strict=True) if value == value}
        assert found == {name: record[name] for name in NUMBERS if name in record}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"lr":', b'"lr":0.1,"lr":'),
        (b'"lr":', b'"lr" :0.1,"lr" :'),
        (b'"lr":', b'"note":1,"lr":'),
        (b'"lr":0.0003,', b""),
        (b'"seed":3', b'"seed":3.5'),
        (b'"rollout_ticks":0', b'"rollout_ticks":1'),
        (b'"telemetry_version":1.1', b'"telemetry_version":1.3'),
        (b'"scenario":"', b'"scenario":"\\u0061'),
        (b'{"tele', b'{"telemetry_version":1.1,"tele'),
        (b"}\n{", b"}{"),
        (b"}\n{", b"}\n\n{"),
        (b"}\n{", b"} \n{"),
        (b',"lr"', b',\n"lr"'),
    ],
)
def test_one_doubtful_line_leaves_the_block_to_the_plain_path(decoder, old, new):
    data = b"\n".join(real_log(4)) + b"\n"
    assert decoder.decode(data, True)
    assert old in data
    assert decoder.decode(data.replace(old, new, 1), True) is None


def test_a_log_without_offsets_is_left_to_the_plain_path(tmp_path, monkeypatch):
    monkeypatch.setattr(reader, "CHUNK_BYTES", 20_000)
    old = {"telemetry_version": 1.0, "log_every": 1} | dict.fromkeys(required_fields(1.0)[1:], 0)
    line = orjson.dumps(old | {"data_mode": "rollout"}) + b"\n"
    (tmp_path / "log").write_bytes(line * 200)
    assert summarise(tmp_path / "log").statistics.records == 200


def test_a_log_of_other_fields_is_left_to_the_plain_path(reference):
    decoder = BlockDecoder()
    lines = (reference / "ppo_epoch_log.jsonl").read_bytes()
    decoder.learn(map(orjson.loads, lines.splitlines()))
    assert decoder.decode(lines, True) is None


@pytest.mark.parametrize("last", [1, 7, 64, 65, 150, 1000])
def test_the_last_records_are_those_of_a_plain_list(tmp_path, monkeypatch, last):
    monkeypatch.setattr(reader, "CHUNK_BYTES", 20_000)
    log = tmp_path / "log"
    log.write_bytes(mutated_log(200, 1))
    records = [record for _, record in reader.read_records(log, lambda line, problem: None)]
    plain = Statistics()
    for record in records[-last:]:
        plain.add(record)
    found = summarise(log, last=last)
    expected = summary_json(Summary(str(log), plain, found.damaged, []))
    assert found.damaged > 0
    assert orjson.dumps(summary_json(found)) == orjson.dumps(expected)
