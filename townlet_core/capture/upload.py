"""Captures on object storage: written in a temporary folder, then uploaded, the manifest last.

One writer holds an address: the one that created the object `<prefix>_upload.json`, which goes once the
manifest is there. A writer that was killed leaves it, and the next one needs `force`.
"""

from __future__ import annotations

import os
import platform
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from townlet_core import io
from townlet_core.bulk import scratch_folder
from townlet_core.capture.finish import Capture
from townlet_core.capture.folder import REPLACE, CaptureFiles, is_capture_name
from townlet_core.errors import BusyError, InputError, MissingFileError, SampleError, TownletError, shown
from townlet_core.remote.bucket import Bucket
from townlet_core.remote.fetch import UPLOAD_ENDING
from townlet_core.replay.limits import DEFAULT_LIMITS
from townlet_core.replay.listed import ListedFile
from townlet_core.replay.manifest import listed_digests, load_manifest

_MAX_CLAIM_BYTES = 4096


def refuse_uploaded(address: str, prefix: str, force: bool) -> CaptureFiles:
    """Return what an upload to this address would replace; raises as upload_capture does."""
    bucket = Bucket(address)
    names = bucket.names()
    if f"{prefix}{UPLOAD_ENDING}" in names and f"{prefix}_manifest.json" not in names and not force:
        raise _busy(bucket, prefix)
    return CaptureFiles(_replaced(bucket, names, prefix, force), {}, [])


def upload_capture(address: str, prefix: str, force: bool, write: Callable[[Path], Capture]) -> Capture:
    """Let `write` make a capture in a temporary folder, and upload it to an address below which nothing is.

    force: replace the capture that is there, or what an interrupted upload has left.
    Raises InputError if anything else is there, BusyError if another process is writing there, MissingError
    or DiskError. Only a whole capture has a manifest.
    """
    bucket = Bucket(address)
    claim = _claim(bucket, prefix, force)
    with scratch_folder() as folder:
        try:
            old = _replaced(bucket, bucket.names(), prefix, force)
            capture = write(folder)
        except BaseException:  # nothing was uploaded yet
            with suppress(TownletError):
                bucket.remove([f"{prefix}{UPLOAD_ENDING}"])
            raise
        _upload(bucket, capture.manifest, old, prefix, claim)
    return capture._replace(manifest=Path(address) / capture.manifest.name)


def _claim(bucket: Bucket, prefix: str, force: bool) -> bytes:
    """Become the one writer of an address, and return the content of the object that says so."""
    name = f"{prefix}{UPLOAD_ENDING}"
    writer = f"process {os.getpid()} on {platform.node()}"
    claim = io.dump_json({"writer": writer, "upload": secrets.token_hex(8)})
    if force:
        bucket.remove([name])
    try:
        bucket.create(name, claim)
    except BusyError as error:
        raise _busy(bucket, prefix) from error
    return claim


def _busy(bucket: Bucket, prefix: str) -> TownletError:
    """Say who is writing at an address, or was when it died."""
    try:
        data = bucket.read(f"{prefix}{UPLOAD_ENDING}", _MAX_CLAIM_BYTES)
        claim = io.parse_json(data, bucket.address)
    except (InputError, MissingFileError):
        claim = None
    writer = shown(claim.get("writer", "unknown") if isinstance(claim, dict) else "unknown")
    return BusyError(
        f"{bucket.address}: another process is writing here, or was interrupted ({writer})",
        "wait for it to end; if it is dead, replace what it has left with --force",
    )


def _replaced(bucket: Bucket, names: list[str], prefix: str, force: bool) -> list[str]:
    """Return the names of the capture that is there. Raises InputError if it may not be replaced."""
    old = [name for name in names if name != f"{prefix}{UPLOAD_ENDING}"]
    if old and not force:
        raise InputError(f"{bucket.address}: already exists", REPLACE)
    for name in old:
        if not is_capture_name(name, prefix):
            raise InputError(
                f"{bucket.address}: holds more than a capture ({shown(name)})",
                "choose another --output, or remove it yourself",
            )
    return old


def _upload(bucket: Bucket, path: Path, old: list[str], prefix: str, claim: bytes) -> None:
    """Upload the files of a manifest and then itself, in the place of `old` objects."""
    manifest = load_manifest(path)
    bucket.remove(name for name in old if name == path.name)  # first, so that it lists only what is there
    bucket.remove(name for name in old if name != path.name)

    def upload(file: ListedFile) -> None:
        data = io.read_file(file.path, DEFAULT_LIMITS.max_sample_bytes)
        if io.sha256(data) != file.sha256:
            raise SampleError(f"{file.path}: has changed since it was written", "check the disk")
        bucket.create(file.path.name, data)

    bucket.each(upload, listed_digests(manifest))
    name = f"{prefix}{UPLOAD_ENDING}"
    if name not in bucket.names() or bucket.read(name, _MAX_CLAIM_BYTES) != claim:
        raise BusyError(
            f"{bucket.address}: another process has taken over with --force", "write somewhere else"
        )
    bucket.create(path.name, io.read_file(path))
    with suppress(TownletError):  # the capture is whole, and nobody asks for it any more
        bucket.remove([name])
