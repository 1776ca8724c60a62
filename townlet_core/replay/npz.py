"""The NPZ container: reproducible and aligned; declared sizes are checked before memory is allocated.

Zip directory and array headers are parsed here. The general readers raise zlib.error, KeyError, EOFError and
tokenize errors on damaged files, and allocate gigabytes for a file of two megabytes.
"""

from __future__ import annotations

import io
import math
import re
import struct
import zipfile
import zlib
from typing import NamedTuple

import numpy as np

from townlet_core.errors import SampleError, shown
from townlet_core.replay.limits import ReadLimits

RESTORE = "capture it again, or restore it from a copy"

_DIRECTORY_END = struct.Struct("<4s4H2LH")  # signature, 2 disks, 2 counts, size, offset, comment length
_DIRECTORY_ENTRY = struct.Struct("<4s6H3L5H2L")
_LOCAL_HEADER = struct.Struct("<4s5H3L2H")
_NPY_MAGIC = b"\x93NUMPY"
_NPY_HEADER = re.compile(
    r"\{'descr': '([<|][a-zA-Z]\d*)', 'fortran_order': (True|False), "
    r"'shape': \(((?:\d{1,12}, ?){0,8}(?:\d{1,12})?)\), \} *\n?"
)
_PLAIN_DTYPES = {"|b1", "|i1", "|u1", *(f"<{kind}{size}" for kind in "iuf" for size in (2, 4, 8))}
_MAX_HEADER_BYTES = 4096
_STORED, DEFLATE = 0, 8
_MAX_VERSION = 63  # of the zip format, which is needed to read a member
_PLAIN_FLAGS = 0b1000_0000_1110  # how hard it was compressed, sizes also after the data, names in UTF-8
_ALIGNMENT = 64  # of array data in the file, so that stored arrays are used without a copy
_PADDING_FIELD = 0xD935  # the extra-field id that zip alignment tools use
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the zip format has no "no date"


class Member(NamedTuple):
    """One array file of an NPZ, as the zip directory describes it."""

    name: str  # without .npy
    method: int  # _STORED or DEFLATE
    crc: int
    packed_bytes: int
    bytes: int  # after decompression
    offset: int  # of the local header


def pack_npz(arrays: dict[str, np.ndarray], compress: bool = False) -> bytes:
    """Return these arrays as an NPZ file, in order. Equal arrays give equal bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, array in arrays.items():
            info = zipfile.ZipInfo(f"{name}.npy", _EPOCH)
            info.compress_type = DEFLATE if compress else _STORED
            info.create_system = 3
            info.external_attr = 0o644 << 16
            start = buffer.tell() + _LOCAL_HEADER.size + len(info.filename) + 4
            padding = -start % _ALIGNMENT
            info.extra = struct.pack("<HH", _PADDING_FIELD, padding) + bytes(padding)
            archive.writestr(info, _pack_npy(array))
    return buffer.getvalue()


def _pack_npy(array: np.ndarray) -> bytes:
    """Write NPY 1.0 without numpy, whose header padding differs between versions."""
    header = f"{{'descr': {array.dtype.str!r}, 'fortran_order': False, 'shape': {array.shape!r}, }}"
    padding = -(len(_NPY_MAGIC) + 4 + len(header) + 1) % _ALIGNMENT
    text = (header + " " * padding + "\n").encode("latin1")
    return _NPY_MAGIC + b"\x01\x00" + struct.pack("<H", len(text)) + text + array.tobytes()


def list_members(data: bytes, file: str, limits: ReadLimits) -> dict[str, Member]:
    """Read the zip directory and check it against the limits, before any array is read.

    Raises SampleError for anything but a plain NPZ: no zip, cut short, too many or too large members, a
    compression ratio of zip bombs, duplicate names, encryption.
    """
    members: dict[str, Member] = {}
    count, position, end = _find_directory(data, file)
    if count > limits.max_members:
        raise SampleError(f"{file}: holds {count} files, expected at most {limits.max_members}")
    for _ in range(count):
        member, position = _read_entry(data, position, file)
        if member.name in members:
            raise SampleError(f"{file}: {member.name} is there twice, expected one of each array", RESTORE)
        members[member.name] = member
    if position != end:
        raise SampleError(f"{file}: its zip directory is damaged", RESTORE)
    total = sum(member.bytes for member in members.values())
    if total > limits.max_array_bytes:
        raise SampleError(
            f"{file}: its arrays take {total:,} bytes, expected at most {limits.max_array_bytes:,}",
            "capture shorter samples, or raise max_array_bytes",
        )
    if total > max(limits.small_array_bytes, limits.max_expansion * len(data)):
        raise SampleError(
            f"{file}: expands {len(data):,} bytes to {total:,}, "
            f"expected at most {limits.max_expansion} times as much",
            "save it uncompressed, or raise max_expansion",
        )
    return members


def _find_directory(data: bytes, file: str) -> tuple[int, int, int]:
    """Return the number of members, and where the directory begins and ends."""
    if data[:2] != b"PK":
        raise SampleError(f"{file}: is not an NPZ file (it does not begin as a zip archive)", RESTORE)
    at = data.rfind(b"PK\x05\x06", max(0, len(data) - _DIRECTORY_END.size - 65535))
    if at < 0 or at + _DIRECTORY_END.size > len(data):
        raise SampleError(f"{file}: is cut short ({len(data):,} bytes, no zip directory at its end)", RESTORE)
    _, _, _, _, count, size, offset, _ = _DIRECTORY_END.unpack_from(data, at)
    if offset + size != at:
        raise SampleError(f"{file}: its zip directory is damaged", RESTORE)
    return count, offset, at


def _read_entry(data: bytes, position: int, file: str) -> tuple[Member, int]:
    """Read one directory entry; return it and where the next begins."""
    if position + _DIRECTORY_ENTRY.size > len(data) or data[position : position + 4] != b"PK\x01\x02":
        raise SampleError(f"{file}: its zip directory is damaged", RESTORE)
    entry = _DIRECTORY_ENTRY.unpack_from(data, position)
    version, flags, method, crc, packed_bytes, expanded_bytes = *entry[2:5], *entry[7:10]
    name_length, extra_length, comment_length, offset = entry[10], entry[11], entry[12], entry[16]
    start = position + _DIRECTORY_ENTRY.size
    name = data[start : start + name_length].decode("latin1")
    if not re.fullmatch(r"[A-Za-z0-9_]{1,64}\.npy", name):
        raise SampleError(f"{file}: holds a file named {shown(name)}, expected arrays (NAME.npy)", RESTORE)
    if version & 0xFF > _MAX_VERSION or flags & ~_PLAIN_FLAGS or method not in (_STORED, DEFLATE):
        raise SampleError(f"{file}: {name} is encrypted or packed in a way NPZ files are not", RESTORE)
    if method == _STORED and packed_bytes != expanded_bytes:
        raise SampleError(f"{file}: {name} is stored, but its two sizes differ", RESTORE)
    if not _is_sound(data[start + name_length : start + name_length + extra_length]):
        raise SampleError(f"{file}: its zip directory is damaged", RESTORE)
    member = Member(name[:-4], method, crc, packed_bytes, expanded_bytes, offset)
    return member, start + name_length + extra_length + comment_length


def _is_sound(extra: bytes) -> bool:
    """Whether the fields of an extra field end within it."""
    while len(extra) >= 4:
        size = 4 + struct.unpack_from("<H", extra, 2)[0]
        if size > len(extra):
            return False
        extra = extra[size:]
    return True


def read_array(data: bytes, member: Member, file: str, verify: bool = True) -> np.ndarray:
    """Return one array, read-only; a stored array is a view into `data`.

    verify: compare the zip checksum. Raises SampleError for damage, for pickled or structured arrays, and
    for a header whose size is 0 or not that of the data.
    """
    raw = _unpack(data, member, file, verify)
    dtype, fortran_order, shape, start = _read_npy_header(raw, member.name, file)
    expected = math.prod(shape) * dtype.itemsize
    if len(raw) - start != expected or expected == 0:
        raise SampleError(
            f"{file}: {member.name} claims shape {shape} of {dtype}, which takes {expected:,} bytes, "
            f"but holds {len(raw) - start:,}",
            RESTORE,
        )
    flat = np.frombuffer(raw, dtype, offset=start)
    return np.ascontiguousarray(flat.reshape(shape, order="F")) if fortran_order else flat.reshape(shape)


def read_known_arrays(
    data: bytes, known: dict[str, np.ndarray], file: str, limits: ReadLimits
) -> dict[str, np.ndarray]:
    """Return the arrays of an NPZ file, read-only, if names, types and shapes are those of `known`.

    These may be structured arrays, which read_array refuses. Raises SampleError otherwise.
    """
    members = list_members(data, file, limits)
    if odd := sorted(set(members) ^ set(known)):
        what = "is missing" if odd[0] in known else "is not expected"
        raise SampleError(f"{file}: {odd[0]} {what}, expected the arrays {', '.join(known)}")
    return {name: _read_known(data, members[name], array, file) for name, array in known.items()}


def _read_known(data: bytes, member: Member, like: np.ndarray, file: str) -> np.ndarray:
    misfit = SampleError(f"{file}: {member.name} is not {like.dtype.str} of shape {like.shape}")
    if member.bytes > like.nbytes + 12 + 0xFFFF:  # before allocating: the array and the longest header
        raise misfit
    raw = _unpack(data, member, file, verify=True)
    descr = np.lib.format.dtype_to_descr(like.dtype)
    header = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {like.shape!r}, }}"
    start = len(raw) - like.nbytes
    if start < 10 or raw[:6] != _NPY_MAGIC or bytes(raw[10:start]).decode("latin1").strip() != header:
        raise misfit
    return np.frombuffer(raw, like.dtype, offset=start).reshape(like.shape)


def _unpack(data: bytes, member: Member, file: str, verify: bool) -> memoryview:
    """Return the bytes of one member, decompressed, at most the declared number."""
    damaged = SampleError(f"{file}: {member.name} is damaged", RESTORE)
    start = member.offset + _LOCAL_HEADER.size
    if start > len(data) or data[member.offset : member.offset + 4] != b"PK\x03\x04":
        raise damaged
    name_length, extra_length = _LOCAL_HEADER.unpack_from(data, member.offset)[-2:]
    if data[start : start + name_length] != f"{member.name}.npy".encode():
        raise damaged
    start += name_length + extra_length
    raw = memoryview(data)[start : start + member.packed_bytes]
    if len(raw) != member.packed_bytes:
        raise damaged
    if member.method == DEFLATE:
        stream = zlib.decompressobj(-15)
        try:
            raw = memoryview(stream.decompress(raw, member.bytes + 1))
        except zlib.error as error:
            raise damaged from error
        if not stream.eof:
            raise damaged
    if len(raw) != member.bytes or (verify and zlib.crc32(raw) != member.crc):
        raise damaged
    return raw


def _read_npy_header(raw: memoryview, name: str, file: str) -> tuple[np.dtype, bool, tuple[int, ...], int]:
    """Return dtype, Fortran order, shape, and the offset of the data."""
    long = raw[6:7] in (b"\x02", b"\x03")
    start = 12 if long else 10
    if len(raw) < start or raw[:6] != _NPY_MAGIC or raw[6:8] not in (b"\x01\x00", b"\x02\x00", b"\x03\x00"):
        raise SampleError(f"{file}: {name} does not begin as an array file", RESTORE)
    end = start + int.from_bytes(raw[8:start], "little")
    text = bytes(raw[start : min(end, start + _MAX_HEADER_BYTES)]).decode("latin1")
    match = _NPY_HEADER.fullmatch(text)
    if match is None or match[1] not in _PLAIN_DTYPES:
        raise SampleError(
            f"{file}: {name} has the header {shown(text.strip(), 120)}, expected a plain little-endian array "
            "of numbers; pickled objects and records are not read",
            "save it with a numeric dtype",
        )
    shape = tuple(int(size) for size in match[3].replace(",", " ").split())
    return np.dtype(match[1]), match[2] == "True", shape, end
