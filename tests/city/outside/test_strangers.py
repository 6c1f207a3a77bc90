"""HTTP to addresses that others typed in: never into our own network, however it is written."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from city.errors import InvalidInput, Unavailable
from city.outside.strangers import Door, NotAllowed, call, check_door, reachable
from city.settings import settings
from tests.outside_services import Services, serving

FORBIDDEN = (
    "https://127.0.0.1/",
    "https://127.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://localhost/",
    "https://localhost:8080/hook",
    "https://[::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[2002:7f00:1::]/",
    "https://[fe80::1]/",
    "https://[fd00::1]/",
    "https://0.0.0.0/",
    "https://[::]/",
    "https://10.1.2.3/",
    "https://172.16.0.1/",
    "https://192.168.1.1/",
    "https://100.64.0.1/",
    "https://169.254.169.254/latest/meta-data",
    "https://224.0.0.1/",
    "https://255.255.255.255/",
    "http://93.184.215.14/",
    "https://user:secret@93.184.215.14/",
    "https://93.184.215.14/#x",
    "https:///nothing",
    "ftp://93.184.215.14/",
    "file:///etc/passwd",
    "https://93.184.215.14:99999/",
    "https://93.184.215.14/with space",
    "https://" + "a" * 600,
    "https://" + "a" * 70 + ".example.org/",
    "https://a..example.org/",
)


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("LAMPIONE_SLOW_OUTSIDE_SECONDS", "1")
    monkeypatch.setenv("LAMPIONE_VAR", str(tmp_path))
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture(scope="module")
def services() -> Iterator[Services]:
    with serving() as there:
        yield there


@pytest.mark.parametrize("url", FORBIDDEN)
def test_what_is_ours_or_no_address_is_refused_when_typed_in_and_when_called(url: str) -> None:
    with pytest.raises(InvalidInput) as typed:
        check_door(Door(url))
    assert typed.value.field == "address"
    with pytest.raises(NotAllowed):
        call("GET", Door(url))


def test_a_name_that_leads_into_our_own_house_is_refused() -> None:
    name = socket.gethostname()
    addresses = {entry[4][0] for entry in socket.getaddrinfo(name, 443)}
    assert addresses
    with pytest.raises(NotAllowed):
        reachable("localhost", 443, is_internal=False)
    with pytest.raises(NotAllowed):
        call("GET", Door("https://localhost/"))


def test_a_name_of_which_one_address_is_ours_is_refused_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    def both(*_: object, **__: object) -> list[tuple[object, ...]]:
        return [(0, 0, 0, "", ("93.184.215.14", 443)), (0, 0, 0, "", ("10.0.0.1", 443))]

    monkeypatch.setattr(socket, "getaddrinfo", both)  # a resolver in somebody else's hands
    with pytest.raises(NotAllowed):
        call("GET", Door("https://two-faced.example.org/"))


def test_a_private_network_may_be_allowed_but_never_where_clouds_keep_their_secrets(services: Services) -> None:
    door = Door(services.url, is_internal=True)
    check_door(door)
    assert call("GET", door, "/open311/requests/none.json").status == 404
    for url in ("http://169.254.169.254/", "http://[fe80::1]/", "http://0.0.0.0/", "http://224.0.0.1/"):
        with pytest.raises(NotAllowed):
            call("GET", Door(url, is_internal=True))


def test_nothing_is_followed(services: Services) -> None:
    answer = call("GET", Door(services.url, is_internal=True), "/elsewhere")
    assert (answer.status, answer.is_good, answer.is_final) == (302, False, True)


def test_who_is_slow_silent_or_talks_without_end_is_hung_up_on(services: Services) -> None:
    with pytest.raises(Unavailable):
        call("GET", Door(services.url, is_internal=True), "/slow")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        closed = Door(f"http://127.0.0.1:{nobody.getsockname()[1]}", is_internal=True)
        with pytest.raises(Unavailable):
            call("GET", closed)
    for talk in (_drip, _flood):
        through = threading.Event()
        with socket.create_server(("127.0.0.1", 0)) as server:
            threading.Thread(target=talk, args=(server, through), daemon=True).start()
            with pytest.raises(Unavailable):
                call("GET", Door(f"http://127.0.0.1:{server.getsockname()[1]}", is_internal=True))
        assert not through.is_set(), "we have waited for all of it"


def _drip(server: socket.socket, through: threading.Event) -> None:
    connection, _ = server.accept()
    with connection:
        for letter in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 75:
            try:
                connection.sendall(bytes([letter]))
            except OSError:
                return
            time.sleep(0.3)
        through.set()


def _flood(server: socket.socket, through: threading.Event) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(4096)
        try:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n")
            for _ in range(90):
                connection.sendall(b"a" * 100_000)
        except OSError:
            return
        through.set()
