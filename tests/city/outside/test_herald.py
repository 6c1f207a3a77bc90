"""What the herald's process may call: no network of ours but what is allowed, and never where clouds keep secrets."""

from __future__ import annotations

import socket
import sys
from typing import Any

import pytest

from city.outside.herald_child import Guard

PUBLIC, PRIVATE, SECRETS = ("93.184.215.14", 443), ("10.0.0.5", 8080), ("169.254.169.254", 80)


def guarding(monkeypatch: pytest.MonkeyPatch, *allowed: str, is_plain: bool = False) -> Guard:
    """A guard whose `judge` can be asked, and that watches nothing: an audit hook stays for ever."""
    monkeypatch.setattr(sys, "addaudithook", lambda _: None)

    def looked_up(host: Any, port: Any) -> list[tuple[Any, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))]

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    guard = Guard(set(allowed), is_plain=is_plain)
    guard.watch()
    for address in (PUBLIC, PRIVATE, SECRETS):
        socket.getaddrinfo(*address)
    return guard


def test_a_private_host_is_called_only_where_it_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    guard = guarding(monkeypatch)
    assert [guard.may_call(one) for one in (PUBLIC, PRIVATE, SECRETS)] == [True, False, False]
    guard = guarding(monkeypatch, "10.0.0.5:8080")
    assert [guard.may_call(one) for one in (PUBLIC, PRIVATE, ("10.0.0.5", 80))] == [True, True, False]


def test_what_is_not_encrypted_goes_to_allowed_hosts_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    guard = guarding(monkeypatch, "10.0.0.5:8080", is_plain=True)
    assert [guard.may_call(one) for one in (PUBLIC, PRIVATE)] == [False, True]


def test_where_clouds_keep_their_secrets_is_called_never(monkeypatch: pytest.MonkeyPatch) -> None:
    guard = guarding(monkeypatch, "169.254.169.254:80")
    assert not guard.may_call(SECRETS)
    assert not guard.may_call("/run/docker.sock")
