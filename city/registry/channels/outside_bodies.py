"""Outside bodies: set up by administrators, chosen by the desk. A municipality sees its own and the province's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import or_, select

from city.database import PROVINCE, ReadSession, WriteSession
from city.errors import Conflict, InvalidInput, NotFound
from city.outside.strangers import Door, check_door
from city.outside.webhook import key_of
from city.registry.channels.body_tables import OutsideBody
from city.registry.tables import Municipality
from city.sealing import sealed, unsealed

MAIL: Final = re.compile(r"[^@\s<>\",;:\\()\[\]]{1,64}@[^@\s<>\",;:\\()\[\]]+\.[^@\s<>\",;:\\()\[\].]{2,63}")


@dataclass(frozen=True, slots=True)
class BodyFields:
    """An outside body to put. `secret`: None leaves the one there is, an empty one takes it away."""

    slug: str
    name_it: str
    name_en: str
    channel: str
    address: str
    contact: str | None = None
    jurisdiction: str | None = None
    services: Mapping[str, str] = field(default_factory=dict)
    secret: str | None = None
    language: str = "it"
    needs_check: bool = False
    is_active: bool = True


def check_address(fields: BodyFields, door: Door) -> None:
    """Raises InvalidInput (field `address`) for an address of another kind, or a service that we never call.

    Names are resolved here: to be asked outside of any transaction.
    """
    if fields.channel != "mail":
        check_door(door)
    elif not MAIL.fullmatch(fields.address):
        raise InvalidInput("bodies.not_mail", field="address", value=fields.address)


def put_body(session: WriteSession, owner_id: int, fields: BodyFields) -> None:
    """Make or change an outside body of `owner_id` (0: of the province, which all inherit).

    Its address must have been checked. Raises Conflict where a municipality is called so, InvalidInput for a secret
    that is missing or short.
    """
    if session.scalar(select(Municipality.id).where(Municipality.slug == fields.slug)) is not None:
        raise Conflict("bodies.is_municipality", field="slug", value=fields.slug)
    body = session.scalar(
        select(OutsideBody).where(OutsideBody.municipality_id == owner_id, OutsideBody.slug == fields.slug)
    )
    if body is None:
        body = OutsideBody(municipality_id=owner_id, slug=fields.slug)
        session.add(body)
    if fields.secret is not None:
        body.secret = sealed(fields.secret, "outside body") if fields.secret else None
    if fields.channel == "webhook":
        key_of(secret_of(body) or "")
    body.name_it, body.name_en = fields.name_it, fields.name_en
    body.channel, body.address, body.contact = fields.channel, fields.address, fields.contact
    body.jurisdiction, body.services = fields.jurisdiction, dict(fields.services)
    body.language, body.needs_check = fields.language, fields.needs_check
    body.is_active, body.changed_at = fields.is_active, datetime.now(UTC)


def secret_of(body: OutsideBody) -> str | None:
    """What they and we know, and nobody else. Raises Unavailable where the installation's secret is another one now."""
    return unsealed(body.secret, "outside body") if body.secret is not None else None


def bodies_of(session: ReadSession, owner_id: int) -> list[OutsideBody]:
    """All bodies that `owner_id` may see, its own before those it inherits; one of its own stands before the
    province's of the same slug.
    """
    found = session.scalars(
        select(OutsideBody)
        .where(or_(OutsideBody.municipality_id == owner_id, OutsideBody.municipality_id == PROVINCE))
        .order_by(OutsideBody.slug, OutsideBody.municipality_id.desc())
    )
    first: dict[str, OutsideBody] = {}
    for body in found:
        first.setdefault(body.slug, body)
    return list(first.values())


def find_body(session: ReadSession, owner_id: int, slug: str) -> OutsideBody:
    """The body `slug` to which `owner_id` may hand something. Raises InvalidInput naming those there are."""
    active = {body.slug: body for body in bodies_of(session, owner_id) if body.is_active}
    if slug not in active:
        raise InvalidInput("bodies.unknown", field="to", value=slug, known=", ".join(active) or "-")
    return active[slug]


def body_of(session: ReadSession, owner_id: int, body_id: int) -> OutsideBody:
    """A body by its id. Raises NotFound."""
    body = session.get(OutsideBody, (owner_id, body_id))
    if body is None:
        raise NotFound("bodies.not_found", value=body_id)
    return body
