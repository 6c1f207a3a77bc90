"""Where a request comes from, as far as the pace of requests goes."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from fastapi import Request

_OURS: Final = tuple(
    ip_network(known)
    for known in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "::1", "fc00::/7")
)


def network(request: Request) -> str:
    """The visitor's address, for IPv6 the network of 64 bits around it; empty where it is of this machine or house.

    A request from there is a command, a colleague's, or comes through a web server that does not say for whom it asks:
    to slow it down would slow everybody down. uvicorn reads X-Forwarded-For of the web servers it was told to trust.
    """
    try:
        address = ip_address(request.client.host if request.client else "")
    except ValueError:
        return ""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if any(address in ours for ours in _OURS if ours.version == address.version):
        return ""
    return str(ip_network((address, 64), strict=False) if isinstance(address, IPv6Address) else address)


def device(request: Request) -> str:
    """What the visitor's program calls itself, shortened."""
    return request.headers.get("user-agent", "")[:200]
