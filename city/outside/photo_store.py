"""Where photos lie: a folder of this machine, or an S3 bucket. One interface, so that nobody above can tell which.

    file:///srv/lampione/photos                                   the local twin (default: ./var/photos)
    s3://bucket/prefix?endpoint=https://s3.example.org&region=eu  any S3-compatible service

Credentials never stand in the address: they come from the environment (`AWS_ACCESS_KEY_ID`,
`AWS_SECRET_ACCESS_KEY`, …). An object appears whole or not at all in either twin. Neither keeps a content type: that
is known from the database, because folders have nowhere to put it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, S3Store

from city.errors import Conflict, InvalidInput, NotFound, SettingsError, Unavailable

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig, S3Config

PRIVATE_FOLDER: Final = 0o700
PRIVATE_FILE: Final = 0o600
LONGEST_KEY: Final = 512
TRIES: Final = 2
"""How often a request to a bucket is repeated before we say that it does not answer."""

_KEY: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(?:/[A-Za-z0-9_][A-Za-z0-9._-]*)*")
_KNOWN_OPTIONS: Final = {"endpoint", "region"}


class StoredPhoto(NamedTuple):
    """One object of the store, as `PhotoStore.list` finds it."""

    key: str
    size_bytes: int
    stored_at: datetime


class PhotoStore:
    """Keys to bytes. A key is made of segments of letters, digits, `.`, `_` and `-`, parted by `/`, e.g. `12/ab/c.jpg`.

    Every method may raise InvalidInput (a key of another form) and Unavailable (the store does not answer, or refuses
    us). All of them may be called from many threads at once.
    """

    def __init__(self, objects: LocalStore | S3Store) -> None:
        self._objects = objects

    def put(self, key: str, data: bytes) -> None:
        """Store `data` under `key`, in place of what may be there: safe to repeat."""
        self._write(_checked(key), data, "overwrite")

    def create(self, key: str, data: bytes) -> None:
        """Store `data` under a `key` that is still free; of two who try at once, one wins.

        Raises Conflict where there is something already.
        """
        self._write(_checked(key), data, "create")

    def get(self, key: str) -> bytes:
        """What lies under `key`. Raises NotFound."""
        with _uniform_errors(key):
            return bytes(obstore.get(self._objects, _checked(key)).bytes())

    def delete(self, key: str) -> None:
        """Take away what lies under `key`; nothing there is no error, so that it may be repeated."""
        try:
            with _uniform_errors(key):
                obstore.delete(self._objects, _checked(key))
        except NotFound:
            return

    def list(self, prefix: str = "") -> Iterator[StoredPhoto]:
        """Everything below the folder `prefix` (whole segments; empty: everything), in no promised order."""
        if prefix:
            _checked(prefix)
        with _uniform_errors(prefix):
            for chunk in obstore.list(self._objects, prefix or None):
                for found in chunk:
                    yield StoredPhoto(found["path"], found["size"], found["last_modified"])

    def _write(self, key: str, data: bytes, mode: Literal["overwrite", "create"]) -> None:
        with _uniform_errors(key):
            obstore.put(self._objects, key, data, mode=mode, use_multipart=False)


class FolderPhotoStore(PhotoStore):
    """The local twin: a folder that only this user may open."""

    def __init__(self, folder: Path) -> None:
        """Make `folder` where it is missing. Raises Unavailable where that cannot be done."""
        self._folder = folder
        with _uniform_errors(""):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(PRIVATE_FOLDER)
            super().__init__(LocalStore(folder, automatic_cleanup=False))

    def _write(self, key: str, data: bytes, mode: Literal["overwrite", "create"]) -> None:
        path = self._folder / key
        with _uniform_errors(key):
            self._make_private_folders(path.parent)
        super()._write(key, data, mode)
        with _uniform_errors(key):
            _seal(path)

    def _make_private_folders(self, folder: Path) -> None:
        if folder == self._folder:
            return
        self._make_private_folders(folder.parent)
        folder.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)


def open_photo_store(address: str, *, slow_seconds: float = 10.0) -> PhotoStore:
    """The store at `address` (see the module); a bucket is not asked before it is needed.

    `slow_seconds` is how long one request to a bucket may take. Raises SettingsError where the address makes no sense,
    Unavailable where a folder cannot be made.
    """
    parts = urlsplit(address)
    if parts.scheme == "file" and parts.netloc in {"", "localhost"} and parts.path.strip("/"):
        return FolderPhotoStore(Path(unquote(parts.path)))
    if parts.scheme == "s3" and parts.hostname:
        options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        # A password in the address would end up in logs and process lists.
        if parts.username or not options.keys() <= _KNOWN_OPTIONS:
            raise SettingsError("photo_store.options", known=", ".join(sorted(_KNOWN_OPTIONS)))
        return PhotoStore(_bucket(parts.netloc, unquote(parts.path).strip("/"), options, slow_seconds))
    raise SettingsError("settings.photo_store")


def _bucket(name: str, prefix: str, options: dict[str, str], slow_seconds: float) -> S3Store:
    config: S3Config = {}
    endpoint = options.get("endpoint", "")
    if endpoint:
        # Services of one's own seldom have a host name per bucket.
        config |= {"endpoint": endpoint, "virtual_hosted_style_request": False}
    if "region" in options:
        config["region"] = options["region"]
    slow = timedelta(seconds=slow_seconds)
    client: ClientConfig = {
        "timeout": slow,
        "connect_timeout": min(slow, timedelta(seconds=3)),
        "allow_http": endpoint.startswith("http://"),
    }
    retry: RetryConfig = {"max_retries": TRIES, "retry_timeout": slow}
    return S3Store(name, prefix=prefix or None, config=config, client_options=client, retry_config=retry)


def _checked(key: str) -> str:
    if len(key) > LONGEST_KEY or not _KEY.fullmatch(key):
        raise InvalidInput("photo_store.key", name=key[:LONGEST_KEY])
    return key


def _seal(path: Path) -> None:
    """Close the file to others and push it to the disk: its row is committed next, and must not outlive it."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:  # deleted by somebody in the meantime: there is nothing left to close
        return
    try:
        os.fchmod(file, PRIVATE_FILE)
        os.fsync(file)
    finally:
        os.close(file)


@contextmanager
def _uniform_errors(key: str) -> Iterator[None]:
    """The store's own errors as ours: the same for both twins."""
    try:
        yield
    except FileNotFoundError as error:
        raise NotFound("photo_store.missing", name=key) from error
    except AlreadyExistsError as error:
        raise Conflict("photo_store.exists", name=key) from error
    except (BaseError, OSError) as error:
        raise Unavailable("photo_store.silent", problem=_first_line(error)) from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]
