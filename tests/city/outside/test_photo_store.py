"""Both twins of the photo store, by the same tests: a folder, and a bucket of a real S3 server on this machine."""

from __future__ import annotations

import socket
import stat
import threading
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from city.errors import Conflict, InvalidInput, LampioneError, NotFound, SettingsError, Unavailable
from city.outside.photo_store import FolderPhotoStore, PhotoStore, open_photo_store

PHOTO = b"\xff\xd8 a photo \0" * 1000


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    moto_server = pytest.importorskip("moto.server", reason="moto, the S3 server for tests, is not installed")
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "lampione")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-for-the-tests")


@pytest.fixture
def folder_address(tmp_path: Path) -> str:
    return (tmp_path / "var" / "photos").as_uri()


@pytest.fixture
def bucket_address(s3_server: str, request: pytest.FixtureRequest) -> str:
    request.getfixturevalue("credentials")
    bucket = f"photos-{uuid4()}"
    with urllib.request.urlopen(urllib.request.Request(f"{s3_server}/{bucket}", method="PUT")) as answer:
        assert answer.status == 200
    return f"s3://{bucket}/some/prefix?endpoint={s3_server}&region=us-east-1"


@pytest.fixture(params=["folder_address", "bucket_address"])
def store(request: pytest.FixtureRequest) -> PhotoStore:
    address: str = request.getfixturevalue(request.param)
    return open_photo_store(address)


def test_what_was_put_comes_back(store: PhotoStore) -> None:
    store.put("12/ab/large.jpg", PHOTO)
    assert store.get("12/ab/large.jpg") == PHOTO
    store.put("empty", b"")
    assert store.get("empty") == b""


def test_put_replaces(store: PhotoStore) -> None:
    store.put("a/b.jpg", PHOTO)
    store.put("a/b.jpg", b"other")
    assert store.get("a/b.jpg") == b"other"


def test_create_never_replaces(store: PhotoStore) -> None:
    store.create("a/b.jpg", PHOTO)
    with pytest.raises(Conflict) as refused:
        store.create("a/b.jpg", b"other")
    assert refused.value.key == "photo_store.exists"
    assert store.get("a/b.jpg") == PHOTO


def test_of_many_who_create_at_once_one_wins(store: PhotoStore) -> None:
    winners: list[bytes] = []

    def try_it(data: bytes) -> None:
        try:
            store.create("a/b.jpg", data)
        except Conflict:
            return
        winners.append(data)

    crowd = [threading.Thread(target=try_it, args=(PHOTO + str(number).encode(),)) for number in range(8)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join()
    assert winners == [store.get("a/b.jpg")]


def test_what_is_missing(store: PhotoStore) -> None:
    with pytest.raises(NotFound) as missing:
        store.get("a/b.jpg")
    assert missing.value.key == "photo_store.missing"
    assert "a/b.jpg" in missing.value.sentence()


def test_delete_may_be_repeated(store: PhotoStore) -> None:
    store.put("a/b.jpg", PHOTO)
    store.delete("a/b.jpg")
    store.delete("a/b.jpg")
    with pytest.raises(NotFound):
        store.get("a/b.jpg")


def test_list(store: PhotoStore) -> None:
    for key in ("a/1.jpg", "a/b/2.jpg", "ab/3.jpg"):
        store.put(key, PHOTO)
    assert {found.key for found in store.list()} == {"a/1.jpg", "a/b/2.jpg", "ab/3.jpg"}
    below_a = list(store.list("a"))
    assert {found.key for found in below_a} == {"a/1.jpg", "a/b/2.jpg"}
    assert {found.size_bytes for found in below_a} == {len(PHOTO)}
    assert all(abs(datetime.now(UTC) - found.stored_at) < timedelta(minutes=1) for found in below_a)
    assert list(store.list("nowhere")) == []


@pytest.mark.parametrize(
    "key", ["", "/etc/passwd", "../x", "a/../../x", "a//b", "a/", "a\0b", "a b", ".hidden", "è.jpg", "a#1", "x" * 600]
)
def test_strange_keys_are_refused(store: PhotoStore, key: str) -> None:
    for attempt in (store.get, store.delete, lambda name: store.put(name, PHOTO), lambda name: store.create(name, b"")):
        with pytest.raises(InvalidInput):
            attempt(key)


def test_the_folder_is_private(tmp_path: Path, folder_address: str) -> None:
    store = open_photo_store(folder_address)
    store.put("12/ab/large.jpg", PHOTO)
    store.create("12/ab/small.jpg", PHOTO)
    root = tmp_path / "var" / "photos"
    assert stat.S_IMODE(root.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in root.rglob("*")}
    assert modes == {"12": 0o700, "ab": 0o700, "large.jpg": 0o600, "small.jpg": 0o600}


def test_a_reader_never_sees_half_a_photo(folder_address: str) -> None:
    store = open_photo_store(folder_address)
    old, new = b"a" * 3_000_000, b"b" * 3_000_000
    store.put("a.jpg", old)
    seen: set[bytes] = set()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.add(store.get("a.jpg"))

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(10):
        store.put("a.jpg", new)
        store.put("a.jpg", old)
    done.set()
    reader.join()
    assert seen <= {old, new}


def test_a_key_that_is_a_folder_already(folder_address: str) -> None:
    store = open_photo_store(folder_address)
    store.put("a/b.jpg", PHOTO)
    with pytest.raises(LampioneError):
        store.put("a", PHOTO)
    with pytest.raises(LampioneError):
        store.put("a/b.jpg/c", PHOTO)
    assert store.get("a/b.jpg") == PHOTO


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Unavailable):
        FolderPhotoStore(tmp_path / "file" / "photos")


def test_an_address_with_spaces(tmp_path: Path) -> None:
    open_photo_store((tmp_path / "my photos").as_uri()).put("a", PHOTO)
    assert (tmp_path / "my photos" / "a").read_bytes() == PHOTO


@pytest.mark.parametrize(
    "address",
    [
        "",
        "photos",
        "/srv/photos",
        "file://",
        "file:///",
        "file://server/share",
        "ftp://host/photos",
        "s3://",
        "s3:///x",
    ],
)
def test_addresses_that_make_no_sense(address: str) -> None:
    with pytest.raises(SettingsError) as refused:
        open_photo_store(address)
    assert "LAMPIONE_PHOTO_STORE" in refused.value.sentence()


@pytest.mark.parametrize("address", ["s3://key:secret@bucket/x", "s3://bucket/x?secret_access_key=x"])
def test_secrets_have_no_place_in_the_address(address: str) -> None:
    with pytest.raises(SettingsError) as refused:
        open_photo_store(address)
    assert "AWS_SECRET_ACCESS_KEY" in refused.value.sentence()


def test_two_prefixes_of_a_bucket_do_not_meet(bucket_address: str) -> None:
    one, other = open_photo_store(bucket_address), open_photo_store(bucket_address.replace("some/prefix", "other"))
    one.put("a.jpg", PHOTO)
    assert list(other.list()) == []
    assert [found.key for found in open_photo_store(bucket_address.replace("/some/prefix", "")).list()] == [
        "some/prefix/a.jpg"
    ]


def test_a_bucket_that_is_not_there(bucket_address: str) -> None:
    store = open_photo_store(bucket_address.replace("photos-", "nowhere-"))
    with pytest.raises(LampioneError):
        store.put("a.jpg", PHOTO)


@pytest.mark.usefixtures("credentials")
def test_a_server_that_is_down() -> None:
    store = open_photo_store("s3://bucket?endpoint=http://127.0.0.1:9&region=x", slow_seconds=1)
    started = time.monotonic()
    for attempt in (
        lambda: store.get("a"),
        lambda: store.put("a", b""),
        lambda: store.delete("a"),
        lambda: [*store.list()],
    ):
        with pytest.raises(Unavailable) as silent:
            attempt()
        assert "a-secret" not in silent.value.sentence()
    assert time.monotonic() - started < 10


@pytest.mark.usefixtures("credentials")
def test_a_server_that_hangs_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        store = open_photo_store(
            f"s3://bucket?endpoint=http://127.0.0.1:{deaf.getsockname()[1]}&region=x", slow_seconds=0.5
        )
        started = time.monotonic()
        with pytest.raises(Unavailable):
            store.put("a", PHOTO)
        assert time.monotonic() - started < 5
