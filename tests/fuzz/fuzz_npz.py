"""Mutations of NPZ files: of bytes, of zip and array headers, and of arrays in a sound container."""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from random import Random

import numpy as np
from fuzz_bytes import change_integer, mutate_bytes, mutate_in_place

# Offsets and widths of the fields that follow a signature.
_FIELDS = {
    b"PK\x01\x02": ((4, 2), (6, 2), (8, 2), (10, 2), (16, 4), (20, 4), (24, 4),
                    (28, 2), (30, 2), (32, 2), (34, 2), (42, 4)),
    b"PK\x03\x04": ((4, 2), (6, 2), (8, 2), (14, 4), (18, 4), (22, 4), (26, 2), (28, 2)),
    b"PK\x05\x06": ((4, 2), (6, 2), (8, 2), (10, 2), (12, 4), (16, 4), (20, 2)),
    b"\x93NUMPY": ((6, 1), (7, 1), (8, 2)),
}  # fmt: skip
_SIGNATURE = re.compile(b"|".join(map(re.escape, _FIELDS)))
_NAME = re.compile(rb"[a-z_]+\.npy")
_TYPES = (
    *(
        b"'<f4'",
        b"'<f8'",
        b"'<f2'",
        b"'>f4'",
        b"'=f4'",
        b"'|b1'",
        b"'|i1'",
        b"'|u1'",
        b"'<i8'",
        b"'<u8'",
        b"'<i4'",
        b"'>i8'",
    ),
    *(
        b"'|O'",
        b"'<U1'",
        b"'|S8'",
        b"'<c8'",
        b"'|V4'",
        b"'<M8[s]'",
        b"'<f4444'",
        b"'<b1'",
        b"'?'",
        b"[('a', '<f4')]",
        b"'<f16'",
    ),
)
_SHAPE = re.compile(rb"'shape': \(([^)]*)\)")
_NAMES = (
    *(
        "map",
        "features",
        "actions",
        "old_log_probs",
        "value_preds",
        "rewards",
        "dones",
        "terminations",
        "truncations",
    ),
    *(
        "action_mask",
        "conflict_events",
        "conflict_intensity",
        "reward_terms",
        "timeouts",
        "terminals",
        "other",
        "Map",
        "",
    ),
    *("../map", "map.npy", "a" * 65, "map\0", "mäp"),
)
_VALUES = (0, 1, -1, 2, 255, -0.0, 0.5, 1e-45, 3e38, 1e30, np.nan, np.inf, -np.inf, 2**31, 2**62, -(2**63))
_KINDS = ("<f4", "<f8", "<f2", ">f4", "?", "<i8", "<i4", "|u1", "<u8", "<c8", "U3", "O")
_BOMB = 60 << 20


def mutate_npz(data: bytes, chance: Random) -> bytes:
    """Return an NPZ file with one mutation. Some of a file's container leave its checksums right."""
    kind = chance.random()
    if kind < 0.25:
        return mutate_bytes(data, chance)
    if kind < 0.5:
        return _mutate_field(data, chance)
    members = _members(data)
    if kind < 0.7:
        _mutate_member(members, chance)
    elif kind < 0.98:
        _mutate_arrays(members, chance)
    else:
        _mutate_list(members, chance)
    return _zipped(members, chance)


def _mutate_field(data: bytes, chance: Random) -> bytes:
    """Change a field of the zip structure or of an array's header, in place."""
    headers = list(_SIGNATURE.finditer(data))
    if not headers:
        return mutate_bytes(data, chance)
    header, changed = chance.choice(headers), bytearray(data)
    offset, width = chance.choice(_FIELDS[header[0]])
    if chance.random() < 0.2:
        return mutate_in_place(data, chance, header.start(), header.start() + 160)
    if chance.random() < 0.1 and (names := list(_NAME.finditer(data))):
        name, other = chance.choice(names), chance.choice(names)
        return data[: name.start()] + other[0] + data[name.end() :]
    change_integer(changed, header.start() + offset, width, chance)
    return bytes(changed)


def _members(data: bytes) -> list[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return [
            (info.filename, archive.read(info)) for info in archive.infolist() if info.file_size < 1 << 20
        ]


def _zipped(members: list[tuple[str, bytes]], chance: Random) -> bytes:
    """Return a zip of these files, stored or compressed, with the right checksums."""
    buffer, method = io.BytesIO(), chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that are there twice
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, content in members:
                info = zipfile.ZipInfo(name)  # with a date that never changes
                info.compress_type = zipfile.ZIP_DEFLATED if len(content) > 1 << 20 else method
                archive.writestr(info, content, compresslevel=1)
    return buffer.getvalue()


def _mutate_member(members: list[tuple[str, bytes]], chance: Random) -> None:
    """Change the header or the data of one array file."""
    i = chance.randrange(len(members))
    name, content = members[i]
    kind, end = chance.random(), 10 + int.from_bytes(content[8:10], "little")
    if kind < 0.2:
        content = re.sub(rb"'[<|>=][a-z]\d+'", chance.choice(_TYPES), content, count=1)
    elif kind < 0.3:
        content = content.replace(b"False", b"True ", 1)
    elif kind < 0.6 and (shape := _SHAPE.search(content)):
        sizes = shape[1].split(b",")
        sizes[chance.randrange(len(sizes))] = chance.choice(
            (
                b"",
                b"0",
                b"-1",
                b"1",
                b"2",
                b"5",
                b"6",
                b"484",
                b"999999999999",
                b"9" * 30,
                b"None",
                b"(1,)",
                b" 3",
                b"1, 1",
            )
        )
        content = content[: shape.start(1)] + b",".join(sizes) + content[shape.end(1) :]
    elif kind < 0.8:
        content = mutate_bytes(content, chance, 0, end)
    else:
        content = mutate_bytes(content, chance, end)
    members[i] = name, content


def _mutate_arrays(members: list[tuple[str, bytes]], chance: Random) -> None:
    """Change one array as numpy sees it: values, type, shape or order."""
    i = chance.randrange(len(members))
    name, content = members[i]
    array = np.load(io.BytesIO(content), allow_pickle=False).copy()
    kind = chance.random()
    if kind < 0.4:
        flat = array.reshape(-1)
        with np.errstate(all="ignore"):
            value = np.array(chance.choice(_VALUES)).astype(array.dtype)
        flat[chance.randrange(flat.size) if chance.random() < 0.8 else slice(None)] = value
    elif kind < 0.5:
        array = array.view(np.uint8) if array.dtype == bool else array
        array.reshape(-1)[chance.randrange(array.size)] = chance.randrange(3)
        array = array.view(bool) if array.dtype == np.uint8 else array
    elif kind < 0.65:
        with np.errstate(all="ignore"):
            array = array.astype(chance.choice(_KINDS))
    elif kind < 0.8:
        array = (
            array[: chance.choice((0, 1, 2, -1))]
            if chance.random() < 0.7
            else np.concatenate([array, array[-1:]])
        )
    elif kind < 0.9:
        shapes = ((-1,), (1, *array.shape), (*array.shape, 1), array.shape[::-1], (array.shape[0], -1))
        array = array.reshape(chance.choice(shapes))
    else:
        array = np.asfortranarray(array) if array.ndim > 1 else array[::-1]
    members[i] = name, _npy(array)


def _mutate_list(members: list[tuple[str, bytes]], chance: Random) -> None:
    """Drop, rename, repeat or swap arrays, or add one, or fill one with zeros to many megabytes."""
    i, j = chance.randrange(len(members)), chance.randrange(len(members))
    kind = chance.random()
    if kind < 0.25:
        del members[i]
    elif kind < 0.55:
        members[i] = f"{chance.choice(_NAMES)}.npy", members[i][1]
    elif kind < 0.65:
        members.append(members[i])
    elif kind < 0.8:
        members[i], members[j] = (members[i][0], members[j][1]), (members[j][0], members[i][1])
    elif kind < 0.95:
        members.append((f"{chance.choice(_NAMES)}.npy", members[i][1]))
    else:
        zeros = _npy(np.zeros((_BOMB // (4 * 484), 4, 11, 11), np.float32))
        members[:] = [(name, zeros) for name, _ in members[: chance.randint(1, 8)]]


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)  # that readers refuse
    return buffer.getvalue()
