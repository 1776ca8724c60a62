"""The objects under one s3:// address, through obstore. An object is created once and never overwritten."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

from townlet_core.errors import (
    BusyError,
    DiskError,
    InputError,
    MissingError,
    MissingFileError,
    MissingLibraryError,
    TownletError,
    printable,
)

try:
    import obstore
    from obstore.exceptions import AlreadyExistsError, BaseError
    from obstore.store import S3Store
except ModuleNotFoundError:
    obstore = None  # type: ignore[assignment]

THREADS = 16
INSTALL = "pip install 'townlet[s3]'"
_RETRIES: Any = {"max_retries": 3, "retry_timeout": timedelta(minutes=2)}
_PATIENCE = {"connect_timeout": "5s", "timeout": "600s"}  # the second of one object, however large
_CODE = re.compile(r"<Code>(\w+)</Code>")
_NO_CREDENTIALS = (
    "169.254.169.254"  # where obstore asks for those of a cloud's machine, when it has no others
)
_AGAIN = "run the command again"

Item = TypeVar("Item")
Result = TypeVar("Result")


class Bucket:
    """The objects whose names are one step below an address. Errors name the address and the next move."""

    def __init__(self, address: str) -> None:
        if obstore is None:
            raise MissingLibraryError(f"{address}: obstore is not installed, and s3:// needs it", INSTALL)
        self.address = address
        self._bucket, _, self._prefix = address.removeprefix("s3://").partition("/")
        self._endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
        options: Any = {**_PATIENCE, "allow_http": self._endpoint.startswith("http://")}
        given: Any = {"endpoint": self._endpoint} if self._endpoint else {}
        with self._explained(""):
            self._store = S3Store(self._bucket, client_options=options, retry_config=_RETRIES, **given)

    def names(self) -> list[str]:
        """List the objects; one whose name has a further slash is not among them."""
        with self._explained(""):
            found = obstore.list_with_delimiter(self._store, self._prefix or None)["objects"]
        return sorted(entry["path"].rpartition("/")[2] for entry in found)

    def read(self, name: str, max_bytes: int) -> bytes:
        """Read an object. Raises MissingFileError, or InputError if it is larger than `max_bytes`."""
        with self._explained(name):
            found = obstore.get(self._store, self._key(name))
            if found.meta["size"] > max_bytes:
                raise InputError(
                    f"{self.address}/{name}: more than {max_bytes:,} bytes, which is the limit here"
                )
            return bytes(found.bytes())

    def create(self, name: str, data: bytes) -> None:
        """Write a new object in one step. Raises BusyError if there is another of this name."""
        try:
            with self._explained(name):
                obstore.put(self._store, self._key(name), data, mode="create", use_multipart=False)
        except AlreadyExistsError as error:
            if not self._holds(name, data):  # of this very call, whose first answer was lost
                raise BusyError(
                    f"{self.address}/{name}: another process has written it", "write somewhere else"
                ) from error

    def remove(self, names: Iterable[str]) -> None:
        """Delete objects; one that is not there is no error."""
        if keys := [self._key(name) for name in names]:
            with self._explained(""):
                obstore.delete(self._store, keys)

    def each(self, do: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """Call a function for each item, several at a time; nothing more is begun after an error."""
        with ThreadPoolExecutor(THREADS) as pool:
            waiting = [pool.submit(do, item) for item in items]
            try:
                return [one.result() for one in waiting]
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def _holds(self, name: str, data: bytes) -> bool:
        try:
            return self.read(name, len(data)) == data
        except (InputError, MissingFileError):
            return False

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}" if self._prefix else name

    @contextmanager
    def _explained(self, name: str) -> Iterator[None]:
        """Turn the errors of the library into ours; only AlreadyExistsError stays."""
        try:
            yield
        except (TownletError, AlreadyExistsError):
            raise
        except (BaseError, OSError, ValueError) as error:
            raise self._explain(error, f"{self.address}/{name}".rstrip("/")) from error

    def _explain(self, error: Exception, place: str) -> TownletError:
        text = str(error).partition("\n\nDebug source")[0]
        found = _CODE.search(text)
        code = found[1] if found else ""
        if code == "NoSuchBucket":
            where = f" at {self._endpoint}" if self._endpoint else ""
            return MissingFileError(
                f"s3://{self._bucket}: no such bucket{where}", "check its name, and AWS_ENDPOINT_URL"
            )
        if isinstance(error, FileNotFoundError):
            return MissingFileError(f"{place}: no such object")
        if _NO_CREDENTIALS in text:
            return MissingError(
                f"{place}: there are no credentials",
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_SKIP_SIGNATURE=true for public data",
            )
        if "403 Forbidden" in text or "401 Unauthorized" in text:
            return DiskError(
                f"{place}: access is denied{f' ({code})' if code else ''}",
                "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and the bucket's policy",
            )
        if "HTTP error" in text:
            server = self._endpoint or "S3"
            return DiskError(
                f"{place}: no connection to {server}", f"check AWS_ENDPOINT_URL and the network, and {_AGAIN}"
            )
        return DiskError(f"{place}: {code or printable(text)[:200]}", f"check AWS_REGION, and {_AGAIN}")
