"""Local copies of datasets on object storage, in a cache by the sha256 of their manifests."""

from __future__ import annotations

import os
from pathlib import Path

from townlet_core import io
from townlet_core.addresses import refuse_address, remote_address
from townlet_core.bulk import whole_folder, write_scratch
from townlet_core.errors import (
    DiskError,
    InputError,
    MissingFileError,
    SampleError,
    TownletError,
    count,
    name_list,
)
from townlet_core.remote.bucket import Bucket
from townlet_core.replay.folder import MANIFEST_ENDINGS
from townlet_core.replay.limits import DEFAULT_LIMITS, ReadLimits
from townlet_core.replay.listed import ListedFile
from townlet_core.replay.manifest import listed_digests, load_manifest, sample_or_manifest
from townlet_core.replay.npz import RESTORE

UPLOAD_ENDING = "_upload.json"  # of the object that stands for an upload until its manifest is there


def fetch_dataset(address: str | Path, limits: ReadLimits = DEFAULT_LIMITS) -> Path:
    """Copy a dataset to this machine, and return the copy's folder; for a manifest's address its manifest.

    address: s3://BUCKET/PREFIX/NAME_manifest.json, or s3://BUCKET/PREFIX with one manifest below it. Every
    file is compared with its digest in the manifest, also those that an earlier call has copied.
    Raises InputError if it is not one dataset, SampleError for a file that is not the listed one,
    MissingError, MissingLibraryError or DiskError.
    """
    where = remote_address(address)
    if where is None:
        refuse_address(address)
        raise InputError(f"{address}: is a path, expected s3://BUCKET/PREFIX")
    is_manifest = where.endswith(MANIFEST_ENDINGS) and where.count("/") > 2  # not the name of a bucket
    place, name = where.rsplit("/", 1) if is_manifest else (where, "")
    bucket = Bucket(place)
    name = name or _only_manifest(bucket)
    data = bucket.read(name, limits.max_manifest_bytes)
    copy = cache_folder() / io.sha256(data)
    if not _is_whole(copy / name, data, limits):
        try:
            with whole_folder(copy, check_old=lambda names: None) as folder:
                _copy(bucket, folder / name, data, limits)
        except DiskError:
            if not _is_whole(copy / name, data, limits):  # as it is if another process was faster
                raise
    return copy / name if is_manifest else copy


def fetch_manifest(address: str | Path, limits: ReadLimits = DEFAULT_LIMITS) -> Path:
    """Copy a dataset to this machine, and return the path of its manifest there."""
    return sample_or_manifest(fetch_dataset(address, limits))


def cache_folder() -> Path:
    """Return the folder of all copies: townlet/datasets in the user's cache."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(home) / "townlet" / "datasets"


def _only_manifest(bucket: Bucket) -> str:
    names = bucket.names()
    manifests = [name for name in names if name.endswith(MANIFEST_ENDINGS)]
    if len(manifests) == 1:
        return manifests[0]
    if not names:
        raise MissingFileError(f"{bucket.address}: no such object or prefix")
    if manifests:
        found = f"{count(len(manifests), 'manifest')} ({name_list(manifests)})"
        raise InputError(f"{bucket.address}: holds {found}, expected one", "name one of them")
    is_unfinished = any(name.endswith(UPLOAD_ENDING) for name in names)
    why = "an upload is not finished, or was interrupted" if is_unfinished else "it holds no dataset"
    raise InputError(f"{bucket.address}: holds no manifest: {why}", "name the prefix of a whole capture")


def _copy(bucket: Bucket, path: Path, data: bytes, limits: ReadLimits) -> None:
    """Copy a manifest and what it lists to a new folder."""
    write_scratch(path, data)

    def copy(file: ListedFile) -> None:
        name = file.path.relative_to(path.parent).as_posix()
        content = bucket.read(name, limits.max_sample_bytes)
        if io.sha256(content) != file.sha256:
            message = "its sha256 is not the one in the manifest; the file has changed"
            raise SampleError(f"{bucket.address}/{name}: {message}", RESTORE)
        write_scratch(file.path, content)

    try:
        listed = list(listed_digests(load_manifest(path, limits)))
    except TownletError as error:
        error.args = (str(error).replace(str(path.parent), bucket.address),)
        raise
    bucket.each(copy, listed)


def _is_whole(path: Path, data: bytes, limits: ReadLimits) -> bool:
    """Whether a copy of this manifest is here with every file that it lists, unchanged."""
    if io.kind_of(path) != "file" or io.read_file(path, limits.max_manifest_bytes) != data:
        return False
    listed = listed_digests(load_manifest(path, limits))
    return all(
        io.kind_of(file.path) == "file" and io.file_digest(file.path)["sha256"] == file.sha256
        for file in listed
    )
