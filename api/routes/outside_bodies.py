"""The administrator's errand with outside bodies: who they are, and how a report is brought to them."""

from __future__ import annotations

from fastapi import APIRouter

from api.access import Signed, administering
from api.schemas.base import Named, Slug
from api.schemas.handover import BodyListed, BodyPut
from city.registry.channels import allowed_hosts, outside_bodies
from city.registry.channels.outside_bodies import BodyFields

router = APIRouter(prefix="/api/v1/registry/{owner}/outside-bodies", tags=["administration"])


@router.get("")
def list_bodies(owner: Slug, staff: Signed) -> list[BodyListed]:
    """The outside bodies, own and inherited. Secrets are told to nobody."""
    with administering(staff, owner) as (session, home):
        return [
            BodyListed(
                slug=body.slug,
                name=Named(it=body.name_it, en=body.name_en),
                channel=body.channel,
                address=body.address,
                contact=body.contact,
                jurisdiction=body.jurisdiction,
                services=body.services,
                has_secret=body.secret is not None,
                language=body.language,
                needs_check=body.needs_check,
                is_active=body.is_active,
                is_inherited=body.municipality_id != home.id,
            )
            for body in outside_bodies.bodies_of(session, home.id)
        ]


@router.put("/{slug}", status_code=204)
def put_body(owner: Slug, slug: Slug, body: BodyPut, staff: Signed) -> None:
    """Make or change an outside body; of the province, one that every municipality may choose.

    Its service may stand in a private network only where the province allows its host (`allowed-hosts`).
    """
    with administering(staff, owner) as (session, _):
        door = allowed_hosts.door(session, body.address)
    fields = BodyFields(
        slug=slug,
        name_it=body.name.it,
        name_en=body.name.en,
        channel=body.channel,
        address=body.address,
        contact=body.contact,
        jurisdiction=body.jurisdiction,
        services=body.services,
        secret=body.secret,
        language=body.language,
        needs_check=body.needs_check,
        is_active=body.is_active,
    )
    outside_bodies.check_address(fields, door)
    with administering(staff, owner) as (session, home):
        outside_bodies.put_body(session, home.id, fields)
