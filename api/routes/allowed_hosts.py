"""The province's errand with private networks: which hosts there may be called."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel

from api.access import Signed
from city.database import PROVINCE, provincial
from city.errors import Forbidden
from city.registry.channels import allowed_hosts
from city.registry.channels.allowed_hosts import LONGEST_HOST
from city.registry.staff.people import Right, Staff

router = APIRouter(prefix="/api/v1/province/allowed-hosts", tags=["administration"])

Host = Annotated[str, Path(max_length=LONGEST_HOST, examples=["protocollo.comune.example.org:8443"])]


class AllowedHostListed(BaseModel):
    """A host in a private network that may be called."""

    host: str
    allowed_at: datetime


def _check(staff: Staff) -> None:
    staff.needs(Right.ADMINISTER)
    if staff.home_id != PROVINCE:
        raise Forbidden("hosts.province_only")


@router.get("")
def list_hosts(staff: Signed) -> list[AllowedHostListed]:
    """Hosts in private networks that webhooks and other services may be called at."""
    staff.needs(Right.ADMINISTER)
    with provincial() as session:
        return [AllowedHostListed(host=one.host, allowed_at=one.allowed_at) for one in allowed_hosts.listed(session)]


@router.put("/{host}", status_code=204)
def allow_host(host: Host, staff: Signed) -> None:
    """Allow a host, written as `name:port`, although it stands in a private network."""
    _check(staff)
    with provincial() as session:
        allowed_hosts.allow(session, staff, host)


@router.delete("/{host}", status_code=204)
def forbid_host(host: Host, staff: Signed) -> None:
    """Call it no longer."""
    _check(staff)
    with provincial() as session:
        allowed_hosts.forbid(session, host)
