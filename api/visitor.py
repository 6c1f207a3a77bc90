"""Where a request comes from, as far as the pace of requests goes."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address, ip_network

from fastapi import Request


def network(request: Request) -> str:
    """The visitor's address, for IPv6 the network of 64 bits around it; empty where it is this machine's own.

    A request from this machine is a command, or comes through a web server that does not say for whom it asks: to slow
    it down would slow everybody down. uvicorn reads X-Forwarded-For of the web servers it was told to trust.
    """
    try:
        address = ip_address(request.client.host if request.client else "")
    except ValueError:
        return ""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is None:
            return "" if address.is_loopback else str(ip_network((address, 64), strict=False))
        address = address.ipv4_mapped
    return "" if address.is_loopback else str(address)


def device(request: Request) -> str:
    """What the visitor's program calls itself, shortened."""
    return request.headers.get("user-agent", "")[:200]
