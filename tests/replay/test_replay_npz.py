"""Damaged and hostile files end in one sentence, before memory is taken."""

import io
import struct
import warnings
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from replay_samples import equal, make_sample

from townlet_core.errors import InputError, SampleError
from townlet_core.io import dump_json
from townlet_core.replay.limits import DEFAULT_LIMITS, ReadLimits
from townlet_core.replay.npz import list_members, pack_npz, read_array
from townlet_core.replay.sample import load_sample, save_sample

SAMPLE = make_sample(3)


def read_all(data, limits=DEFAULT_LIMITS):
    return {name: read_array(data, m, "x.npz") for name, m in list_members(data, "x.npz", limits).items()}


def zipped(*members, method=zipfile.ZIP_STORED):
    """Return a zip of (name, bytes) pairs, duplicates and all."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile warns about duplicates
        with zipfile.ZipFile(buffer, "w", method) as archive:
            for name, data in members:
                archive.writestr(name, data)
    return buffer.getvalue()


def npy(header, body=b""):
    text = header.encode("latin1") + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + body


def pickled():
    buffer = io.BytesIO()
    np.savez(buffer, map=np.array([{"a": 1}], dtype=object))
    return buffer.getvalue()


HEADER = "{'descr': '<f4', 'fortran_order': False, 'shape': (%s), }"
HOSTILE = {
    "is not an NPZ file": b"\x93NUMPY\x01\x00",
    "is cut short": b"PK\x03\x04" + bytes(40),
    "pickled objects and records are not read": pickled(),
    "rewards is there twice": zipped(("rewards.npy", npy(HEADER % "1,", bytes(4))), ("rewards.npy", b"x")),
    "expected arrays": zipped(("../../etc/passwd", b"x")),
    "claims shape .* takes 34,359,738,368 bytes, but holds 0": zipped(
        ("map.npy", npy(HEADER % "8589934592,"))
    ),
    "claims shape .* but holds 8": zipped(("map.npy", npy(HEADER % "1,", bytes(8)))),
    "claims shape .* takes 0 bytes": zipped(("map.npy", npy(HEADER % "0, 999999999999"))),
    "has the header": zipped(("map.npy", npy("{'descr': __import__('os').system('true')}"))),
    "has the header .*i8": zipped(("map.npy", npy(HEADER.replace("<f4", ">i8") % "1,", bytes(8)))),
    "has the header .*1{60}": zipped(("map.npy", npy(HEADER % f"{'1' * 90}X"))),  # not tried in all ways
    "does not begin as an array file": zipped(("map.npy", b"hello")),
    "encrypted or packed": zipped(("map.npy", npy(HEADER % "1,", bytes(4))), method=zipfile.ZIP_LZMA),
    "holds 65 files, expected at most 64": zipped(*((f"a{i}.npy", b"") for i in range(65))),
    "expands .* expected at most 200 times": zipped(
        ("map.npy", bytes(70 << 20)), method=zipfile.ZIP_DEFLATED
    ),
}


@pytest.mark.parametrize("sentence", HOSTILE)
def test_a_hostile_file_is_refused_with_a_sentence(sentence):
    with pytest.raises(SampleError, match=rf"x\.npz: .*{sentence}"):
        read_all(HOSTILE[sentence])


def test_what_the_directory_claims_is_held_to_the_limits_before_reading():
    data = pack_npz({"map": np.zeros(1000, np.float32)})
    with pytest.raises(SampleError, match="its arrays take 4,128 bytes, expected at most 4,000"):
        list_members(data, "x.npz", ReadLimits(max_array_bytes=4000))
    assert list(list_members(data, "x.npz", ReadLimits(max_array_bytes=4128))) == ["map"]


def test_a_directory_that_hides_the_size_of_a_bomb_gains_nothing():
    data = bytearray(zipped(("map.npy", bytes(10 << 20)), method=zipfile.ZIP_DEFLATED))
    entry = data.rindex(b"PK\x01\x02")
    data[entry + 24 : entry + 28] = struct.pack("<I", 1000)  # the size after decompression
    with pytest.raises(SampleError, match="map is damaged"):
        read_all(bytes(data))


def change(data, signature, field, value, width=2):
    """Write an integer into the first header that begins with a signature."""
    start = data.index(signature) + field
    return data[:start] + value.to_bytes(width, "little") + data[start + width :]


# What zipfile or numpy refuse, at least where they read in small pieces.
PACKED = pack_npz({"rewards": np.arange(99, dtype=np.float32)}, compress=True)
LAST, LOCAL, END = b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06"
SIZE = int.from_bytes(PACKED[PACKED.index(LAST) + 20 :][:4], "little")  # compressed
DAMAGED = {
    "a flag of patches": change(PACKED, LAST, 8, 1 << 5),
    "a later version of the zip format": change(PACKED, LAST, 6, 64),
    "an extra field beyond its end": change(PACKED, LAST, 28, len("rewards")),
    "no files in a directory of one": change(PACKED, END, 10, 0),
    "compressed data without an end": change(PACKED, LAST, 20, SIZE - 1, 4),
    "compressed data beyond the file": change(PACKED, LAST, 20, SIZE + 9999, 4),
    "another name before the data": PACKED.replace(b"rewards", b"actions", 1),
    "another version of the array format": zipped(("map.npy", b"\x93NUMPY\x01\x05" + bytes(60))),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_damage_to_the_container_is_refused(what):
    with pytest.raises(SampleError, match=r"x\.npz"):
        read_all(DAMAGED[what])


def test_many_small_arrays_are_no_way_around_the_limit_of_expansion():
    zeros = npy(HEADER % "7340032,", bytes(28 << 20))
    data = zipped(*((f"a{i}.npy", zeros) for i in range(3)), method=zipfile.ZIP_DEFLATED)
    with pytest.raises(
        SampleError, match=r"x\.npz: expands [\d,]+ bytes to 88,\d+,\d+, expected at most 200"
    ):
        read_all(data)


def test_a_file_cut_anywhere_is_refused():
    data = pack_npz(SAMPLE.arrays())
    for end in range(0, len(data), 97):
        with pytest.raises(SampleError):
            read_all(data[:end])


def test_a_flipped_bit_in_an_array_is_caught_by_the_checksum():
    data = bytearray(pack_npz({"rewards": np.ones(10, np.float32)}))
    data[data.index(np.ones(10, np.float32).tobytes())] ^= 1
    with pytest.raises(SampleError, match="rewards is damaged"):
        read_all(bytes(data))


def test_booleans_are_true_or_false(tmp_path):
    save_sample(SAMPLE, tmp_path, "a")
    dones = np.array([0, 0, 2], np.uint8).view(bool)
    (tmp_path / "a.npz").write_bytes(pack_npz(SAMPLE.arrays() | {"dones": dones}))
    with pytest.raises(SampleError, match="dones holds bytes that are neither true nor false"):
        load_sample(tmp_path / "a.npz")


mutations = st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), min_size=1, max_size=4)


@pytest.mark.parametrize("compress", [False, True])
@settings(max_examples=300)
@given(changes=mutations, structural=st.booleans())
def test_a_mutated_npz_loads_equal_or_is_refused(tmp_path_factory, compress, changes, structural):
    folder = tmp_path_factory.getbasetemp() / f"mutated-{compress}"
    if not (folder / "a.json").exists():
        save_sample(SAMPLE, folder, "a", compress)
    data = bytearray(pack_npz(SAMPLE.arrays(), compress))
    start = data.index(b"PK\x01\x02") if structural else 0  # the directory is small, and most worth hitting
    for position, value in changes:
        data[start + position % (len(data) - start)] = value
    (folder / "a.npz").write_bytes(data)
    try:
        loaded, _ = load_sample(folder / "a.npz")
    except (SampleError, InputError):
        return
    missing = (
        SAMPLE.arrays().keys() - loaded.arrays().keys()
    )  # a renamed optional array is unknown, so ignored
    assert all(np.array_equal(array, SAMPLE.arrays()[name]) for name, array in loaded.arrays().items())
    assert missing <= SAMPLE.optional.keys()


@settings(max_examples=300)
@given(changes=mutations, cut=st.integers(0, 1 << 20))
def test_mutated_metadata_loads_or_is_refused(tmp_path_factory, changes, cut):
    folder = tmp_path_factory.getbasetemp() / "mutated-json"
    if not (folder / "good.json").exists():
        save_sample(SAMPLE, folder, "good")
    data = bytearray((folder / "good.json").read_bytes())
    for position, value in changes:
        data[position % len(data)] = value
    (folder / "bad.json").write_bytes(data[: cut % len(data)] if cut % 3 == 0 else data)
    try:
        loaded, _ = load_sample(folder / "good.npz", folder / "bad.json")
    except (SampleError, InputError):
        return
    assert equal(loaded, SAMPLE) or loaded.metadata != SAMPLE.metadata


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 40), 1 << 40) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=300)
@given(key=st.sampled_from([*SAMPLE.metadata, "sample_id"]), value=json_values, older=st.booleans())
def test_metadata_of_the_wrong_type_is_refused_or_harmless(tmp_path_factory, key, value, older):
    folder = tmp_path_factory.getbasetemp() / "typed-json"
    if not (folder / "good.json").exists():
        save_sample(SAMPLE, folder, "good")
    metadata = SAMPLE.metadata | {key: value}
    if older:
        for key in ("schema_version", "behaviour", "value_source", "capture"):
            metadata.pop(key, None)
    (folder / "bad.json").write_bytes(dump_json(metadata))
    try:
        loaded, _ = load_sample(folder / "good.npz", folder / "bad.json")
    except SampleError:
        return
    assert loaded.timesteps == 3
    assert loaded.agent_id
    assert loaded.action_dim > 0
