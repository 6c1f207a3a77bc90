"""Whose requests are counted together."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from api import visitor


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("127.0.0.1", ""),
        ("10.1.2.3", ""),
        ("172.18.0.1", ""),
        ("::1", ""),
        ("::ffff:192.168.1.1", ""),
        ("fd00::1", ""),
        ("testclient", ""),
    ],
)
def test_a_network_is_an_address_or_the_64_bits_around_it(address: str, network: str) -> None:
    assert visitor.network(Request({"type": "http", "client": (address, 1), "headers": []})) == network
