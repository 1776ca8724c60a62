"""A shard gives every sample back, to the byte, and refuses what is not a sound shard."""

import dataclasses
import os

import numpy as np
import orjson
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from replay_samples import equal, make_sample

from townlet_core import io
from townlet_core.errors import InputError, MissingError, SampleError
from townlet_core.replay.format import TRAINING_ARRAYS
from townlet_core.replay.limits import ReadLimits
from townlet_core.replay.metadata import canonical_metadata
from townlet_core.replay.npz import pack_npz
from townlet_core.replay.packed import writer as packed_writer
from townlet_core.replay.packed.reference import unlisted_shard
from townlet_core.replay.packed.shard import Shard
from townlet_core.replay.packed.writer import COMPRESSIONS, ShardWriter
from townlet_core.replay.sample import examine_sample, raise_first


def write(folder, samples, name="x_00001", compression="zstd"):
    writer = ShardWriter(folder, name, compression)
    for sample in samples:
        writer.add(sample)
    return writer.close()


def opened(folder, name="x_00001", **limits):
    return Shard(unlisted_shard(folder / f"{name}.arrow"), ReadLimits(**limits))


def with_map(sample, values):
    return dataclasses.replace(sample, map=values.astype(np.float32))


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_samples_come_back_as_they_were(tmp_path, compression, monkeypatch):
    monkeypatch.setattr(packed_writer, "BATCH_BYTES", 4000)  # some samples to a record batch
    samples = [
        make_sample(ticks, agent, seed)
        for seed, ticks in enumerate((5, 1, 9, 30, 2))
        for agent in ("ada", "b")
    ]
    write(tmp_path, samples, compression=compression)
    shard = opened(tmp_path)
    assert len(shard.batches) > 2
    for number, sample in enumerate(samples):
        back, findings = shard.examine(number)
        assert equal(back, sample)
        assert not findings
        assert back.metadata == sample.metadata
        text = io.dump_json(canonical_metadata(sample.metadata))
        assert shard.original(number) == (pack_npz(sample.arrays()), text)
        assert shard.name(number) == f"x_{sample.agent_id}_{number + 1:03d}.npz"


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 99)), min_size=1, max_size=12), st.booleans())
def test_any_lengths_in_any_order_come_back(tmp_path_factory, shapes, small):
    folder = tmp_path_factory.mktemp("shard")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packed_writer, "BATCH_BYTES", 2000 if small else 1 << 20)
        samples = [make_sample(ticks, seed=seed) for ticks, seed in shapes]
        write(folder, samples)
    shard = opened(folder)
    assert shard.transitions == sum(ticks for ticks, _ in shapes)
    assert all(equal(shard.sample(number), sample) for number, sample in enumerate(samples))


MAPS = {
    "bool": lambda shape: np.arange(np.prod(shape)).reshape(shape) % 2,
    "uint8": lambda shape: np.arange(np.prod(shape)).reshape(shape) % 256,
    "float32": lambda shape: np.linspace(-1, 1, int(np.prod(shape))).reshape(shape),
}


@pytest.mark.parametrize("kind", MAPS)
def test_a_map_takes_the_narrowest_type_that_keeps_every_bit(tmp_path, kind):
    sample = make_sample(7)
    sample = with_map(sample, MAPS[kind](sample.map.shape))
    write(tmp_path, [sample])
    shard = opened(tmp_path)
    assert shard.layout.map_type == kind
    assert shard.sample(0).map.tobytes() == sample.map.tobytes()


def test_negative_zero_in_a_map_is_kept(tmp_path):
    sample = make_sample(3)
    sample = with_map(sample, np.where(sample.map == 0, -0.0, 1.0))
    write(tmp_path, [sample])
    assert np.signbit(opened(tmp_path).sample(0).map).any()


def test_files_of_other_writers_are_kept_verbatim(tmp_path):
    sample = make_sample(4)
    np.savez_compressed(tmp_path / "other.npz", **sample.arrays())
    text = orjson.dumps(sample.metadata)  # without indentation
    original = (tmp_path / "other.npz").read_bytes(), text
    writer = ShardWriter(tmp_path, "x_00001")
    writer.add(sample, "other.npz", original)
    writer.close()
    shard = opened(tmp_path)
    assert shard.name(0) == "other.npz"
    assert shard.original(0) == original
    assert shard.metadata(0) == sample.metadata


def test_reference_captures_come_back_to_the_byte(tmp_path, captures):
    for path in sorted(captures.rglob("*.npz")):
        sample, _ = examine_sample(path)
        if sample is None:
            continue  # an observation only
        original = path.read_bytes(), path.with_suffix(".json").read_bytes()
        writer = ShardWriter(tmp_path, f"{path.stem}_00001")
        writer.add(sample, path.name, original)
        writer.close()
        shard = opened(tmp_path, f"{path.stem}_00001")
        assert shard.original(0) == original
        assert equal(shard.sample(0), sample)


def test_equal_samples_give_equal_files(tmp_path):
    for folder in ("a", "b"):
        write(tmp_path / folder, [make_sample(5), make_sample(6)])
    names = sorted(os.listdir(tmp_path / "a"))
    assert names == ["x_00001.arrow", "x_00001_samples.arrow"]
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in names)


def test_a_writer_that_is_abandoned_leaves_nothing(tmp_path):
    writer = ShardWriter(tmp_path, "x_00001")
    writer.add(make_sample())
    writer.abandon()
    assert not os.listdir(tmp_path)


def test_what_does_not_fit_is_refused(tmp_path):
    writer = ShardWriter(tmp_path, "x_00001")
    writer.add(make_sample())
    other = make_sample()
    other = dataclasses.replace(
        other,
        optional={},
        metadata=other.metadata
        | {"training_arrays": ["actions", "old_log_probs", "value_preds", "rewards", "dones"]},
    )
    other.metadata.pop("reward_terms")
    assert not writer.fits(other)
    with pytest.raises(InputError, match="does not fit"):
        writer.add(other)
    bad = dataclasses.replace(make_sample(), rewards=np.full(5, np.nan, np.float32))
    with pytest.raises(SampleError, match="rewards is NaN"):
        writer.add(bad)
    writer.abandon()
    with pytest.raises(InputError, match="at least one sample"):
        ShardWriter(tmp_path, "y").close()
    with pytest.raises(InputError, match="compression 'gzip': expected zstd, lz4, none"):
        ShardWriter(tmp_path, "y", "gzip")


def test_every_changed_byte_of_the_rows_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(packed_writer, "BATCH_BYTES", 3000)
    write(tmp_path, [make_sample(9, seed=seed) for seed in range(4)])
    path = tmp_path / "x_00001.arrow"
    data = path.read_bytes()
    last = opened(tmp_path).batches[-1]
    for place in range(0, last.offset + last.bytes, 97):
        path.write_bytes(data[:place] + bytes([data[place] ^ 0x40]) + data[place + 1 :])
        with pytest.raises(SampleError, match=r"x_00001\.arrow: "):
            [opened(tmp_path).sample(number) for number in range(4)]


def resealed(folder, change):
    """Write the samples table again with a change to its columns or its description."""
    path = folder / "x_00001_samples.arrow"
    table = pa.ipc.open_file(path).read_all()
    about = orjson.loads(table.schema.metadata[b"townlet"])
    table = change(table, about) or table
    table = table.replace_schema_metadata({"townlet": orjson.dumps(about)})
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table)


def replace_column(name, values):
    def change(table, about):
        column = table.schema.get_field_index(name)
        return table.set_column(
            column, table.schema.field(name), pa.array(values, table.schema.field(name).type)
        )

    return change


def replace_metrics(kind):
    def change(table, about):
        values = pa.array([None] * table.num_rows, kind)
        return table.set_column(table.schema.get_field_index("metrics"), "metrics", values)

    return change


WRONG = {
    "another format": lambda table, about: about.update(format=2),
    "no arrays": lambda table, about: about.update(arrays=[]),
    "a map of another type": lambda table, about: about.update(map="int32"),
    "another width": lambda table, about: about["arrays"].update(features=[3]),
    "batches that overlap": lambda table, about: about["batches"][0].__setitem__(1, 10),
    "no batches": lambda table, about: about.update(batches=[]),
    "feature names of another number": lambda table, about: about["shared"].update(feature_names=["a"]),
    "a text for names": lambda table, about: about["shared"].update(feature_names="abc"),
    "rows that overlap": replace_column("first_row", [0, 3]),
    "lengths below one": replace_column("timesteps", [0, 11]),
    "other lengths": replace_column("timesteps", [6, 5]),
    "another agent": replace_column("agent_id", ["a\x1b[1m", "anna"]),
    "episodes of other lengths": replace_column("episode_ticks", [[5], [5]]),
    "another end": replace_column("episode_ends", [[0], [2]]),
    "an unknown end": replace_column("episode_ends", [[7], [2]]),
    "a null": replace_column("fingerprint", [None, b"1" * 32]),
    "another fingerprint": replace_column("fingerprint", [b"1" * 32, b"1" * 32]),
    "NaN after the last tick": replace_column("last_value_pred", [float("nan"), 0]),
    "a missing column": lambda table, about: table.drop_columns(["metadata"]),
    "a column of another type": lambda table, about: table.set_column(0, "name", pa.array([1, 2])),
    "metadata that is no JSON": replace_column("metadata", [b"{", b"{}"]),
    "metadata that is no object": replace_column("meta_json", [b"1.5", b"{}"]),
    "metadata with another action_dim": replace_column("metadata", [b'{"action_dim":"9"}', b"{}"]),
    "a column twice": lambda table, about: table.append_column("agent_id", table.column("agent_id")),
    "a metric twice": replace_metrics(pa.struct([("a", pa.float64()), ("a", pa.float64())])),
    "a metric of text": replace_metrics(pa.struct([("a", pa.string())])),
    "a batch of more bytes than the file": lambda table, about: about["batches"][-1].__setitem__(1, 1 << 40),
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
def test_a_table_that_does_not_fit_its_rows_is_refused(tmp_path, change):
    write(tmp_path, [make_sample(5), make_sample(6)])
    resealed(tmp_path, change)
    with pytest.raises(SampleError, match=r"x_00001.*\.arrow"):
        read_all(tmp_path)


def test_a_name_that_is_not_utf8_is_refused(tmp_path):
    write(tmp_path, [make_sample(5)])
    table = tmp_path / "x_00001_samples.arrow"
    for name in (b"reward_mean", b"agent_id"):
        data = table.read_bytes()
        table.write_bytes(data.replace(name, name[:-1] + b"\xff"))
        with pytest.raises(SampleError, match="its schema is damaged"):
            opened(tmp_path)
        table.write_bytes(data)


def read_all(folder):
    shard = opened(folder)
    for number in range(shard.count):
        raise_first(shard.examine(number)[1])


def replace_rows(folder, name, values, kind=None):
    """Write the rows again with another column, in one record batch, and give the table its digest."""
    path = folder / "x_00001.arrow"
    table = pa.ipc.open_file(path).read_all()
    where, field = table.schema.get_field_index(name), table.schema.field(name)
    table = table.set_column(where, field, pa.array(values, kind) if kind else values).combine_chunks()
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table)
    data, header = path.read_bytes(), 8 + table.schema.serialize().size
    size = data.rfind(b"\xff\xff\xff\xff\x00\x00\x00\x00") - header
    batches = [[header, size, table.num_rows, io.sha256(data[header : header + size])]]
    resealed(
        folder, lambda table, about: about.update(batches=batches, header_sha256=io.sha256(data[:header]))
    )


def test_values_that_break_a_rule_are_named_with_sample_and_tick(tmp_path):
    write(tmp_path, [make_sample(5), make_sample(6)])
    actions = pa.ipc.open_file(tmp_path / "x_00001.arrow").read_all().column("actions").to_numpy().copy()
    actions[7] = 99
    replace_rows(tmp_path, "actions", actions, pa.int64())
    with pytest.raises(SampleError, match=r"x_00001\.arrow/x_anna_002\.npz: actions has id 99 at tick 2"):
        opened(tmp_path).sample(0)


def test_missing_values_in_a_list_are_refused(tmp_path):
    write(tmp_path, [make_sample(5)])
    features = pa.ipc.open_file(tmp_path / "x_00001.arrow").read_all().column("features").combine_chunks()
    values = features.flatten().to_pylist()
    values[3] = None
    holed = pa.FixedSizeListArray.from_arrays(pa.array(values, pa.float32()), type=features.type)
    replace_rows(tmp_path, "features", holed)
    with pytest.raises(SampleError, match="record batch 0 has missing values"):
        opened(tmp_path).sample(0)


def test_a_sample_whose_json_disagrees_with_its_shard_is_refused(tmp_path, captures):
    path = captures / "queue_conflict" / "rollout_sample_anna_001.npz"
    sample, _ = examine_sample(path)
    writer = ShardWriter(tmp_path, "x_00001")
    writer.add(sample, path.name, (path.read_bytes(), path.with_suffix(".json").read_bytes()))
    writer.close()
    resealed(tmp_path, lambda table, about: about["shared"]["feature_names"].reverse())
    with pytest.raises(SampleError, match="its metadata is not that of its shard"):
        opened(tmp_path)


def test_a_batch_that_expands_too_far_is_refused_before_it_is_decoded(tmp_path):
    sample = make_sample(3000)
    flat = dataclasses.replace(sample, features=np.zeros_like(sample.features), map=np.zeros_like(sample.map))
    write(tmp_path, [flat])
    with pytest.raises(SampleError, match=r"a record batch whose samples take [\d,]+ bytes"):
        opened(tmp_path, small_array_bytes=1_000_000, max_expansion=3)


def test_a_buffer_that_claims_to_expand_far_is_refused_before_it_is_decoded(tmp_path):
    write(tmp_path, [make_sample(300)], compression="lz4")
    path, table = tmp_path / "x_00001.arrow", tmp_path / "x_00001_samples.arrow"
    offset, size, _, digest = opened(tmp_path).batches[0][:4]
    data = bytearray(path.read_bytes())
    claim = data.index((300 * 4).to_bytes(8, "little"), offset)  # of the column `sample`
    data[claim : claim + 8] = (1 << 40).to_bytes(8, "little")
    path.write_bytes(data)
    table.write_bytes(
        table.read_bytes().replace(digest.encode(), io.sha256(data[offset : offset + size]).encode())
    )
    with pytest.raises(SampleError, match=r"expands [\d,]+ bytes to 1,099,5\d\d,[\d,]+, expected at most"):
        opened(tmp_path).sample(0)


def test_bits_that_take_too_much_memory_as_floats_are_refused(tmp_path):
    write(tmp_path, [make_sample(3000)])
    bytes_of_floats = sum(array.nbytes for array in make_sample(3000).arrays().values())
    assert opened(tmp_path, max_array_bytes=bytes_of_floats).count == 1
    with pytest.raises(SampleError, match=r"whose samples take [\d,]+ bytes, expected at most"):
        opened(tmp_path, max_array_bytes=bytes_of_floats // 2)


def test_a_table_that_changes_while_its_shard_is_open_is_noticed(tmp_path):
    shards = []
    for folder in ("a", "b", "c"):  # more than are kept in memory
        write(tmp_path / folder, [make_sample(5, seed=1)])
        shards.append(opened(tmp_path / folder))
    write(tmp_path / "a", [make_sample(5, seed=2)])
    with pytest.raises(SampleError, match="the file has changed"):
        shards[0].metadata(0)


def test_missing_halves_are_missing_files(tmp_path):
    write(tmp_path, [make_sample()])
    (tmp_path / "x_00001.arrow").rename(tmp_path / "gone")
    with pytest.raises(MissingError, match=r"x_00001\.arrow: no such file"):
        opened(tmp_path).sample(0)
    (tmp_path / "x_00001_samples.arrow").unlink()
    with pytest.raises(MissingError, match=r"x_00001_samples\.arrow: no such file"):
        opened(tmp_path)


def test_what_readers_would_refuse_is_not_written(tmp_path):
    ticks = 30_000  # 72 MB as samples, and hardly anything compressed
    sample = make_sample(ticks)
    empty = {name: np.zeros_like(array) for name, array in sample.arrays().items()}
    empty["action_mask"][:] = True
    training = {name: empty.pop(name) for name in TRAINING_ARRAYS}
    sample = dataclasses.replace(sample, **training, optional=empty)
    writer = ShardWriter(tmp_path, "x_00001")
    with pytest.raises(SampleError, match="that readers refuse it"):
        writer.add(sample)
    writer.abandon()
    write(tmp_path, [sample], compression="none")
    assert opened(tmp_path).examine(0)[0] is not None
