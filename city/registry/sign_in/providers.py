"""Providers of identities: set up by administrators, each of one municipality or of the province."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, delete, exists, select

from city.database import PROVINCE, ReadSession, WriteSession
from city.errors import InvalidInput, NotFound
from city.outside import identity
from city.outside.identity import Client
from city.outside.strangers import Door, check_door
from city.registry import territory
from city.registry.channels import allowed_hosts
from city.registry.sign_in import sign_ins
from city.registry.sign_in.citizen_tables import CitizenSession
from city.registry.sign_in.provider_tables import POST_COLUMNS, IdentityProvider, ProviderPost, SignInTicket
from city.registry.staff import people, roles
from city.registry.staff.rights import EVERYTHING, Narrowing, Staff
from city.registry.tables import AccessToken, Appointment, Municipality
from city.sealing import sealed, unsealed

FISCAL_NUMBER: Final = "https://attributes.eid.gov.it/fiscal_number"
"""What SPID and CIE call it."""
_PURPOSE: Final = "identity provider"


class GroupPost(NamedTuple):
    """Whoever is in the provider's group `member_of` has this role; department and crew by their slugs."""

    member_of: str
    role: str
    department: str | None = None
    crew: str | None = None
    within: Narrowing = EVERYTHING


@dataclass(frozen=True, slots=True)
class ProviderFields:
    """A provider to put. `secret`: None leaves the one there is, as long as the issuer stays."""

    slug: str
    name_it: str
    name_en: str
    audience: str
    issuer: str
    client_id: str
    secret: str | None = None
    client_auth: str = "client_secret_basic"
    scopes: Sequence[str] = ("openid", "profile", "email")
    acr_values: Sequence[str] = ()
    strong_values: Sequence[str] = ()
    groups_claim: str = "groups"
    email_claim: str = "email"
    email_verified_claim: str | None = "email_verified"
    name_claim: str = "name"
    fiscal_number_claim: str | None = FISCAL_NUMBER
    posts: Sequence[GroupPost] = field(default_factory=tuple)
    is_active: bool = True


def check_issuer(door: Door) -> None:
    """Raises InvalidInput (field `issuer`) for an address that is none, or one that we never call.

    Names are resolved here: to be asked outside of any transaction.
    """
    try:
        check_door(door)
    except InvalidInput as error:
        error.field = "issuer"
        raise


def put_provider(session: WriteSession, by: Staff, owner_id: int, fields: ProviderFields) -> None:
    """Make or change a provider of `owner_id`. What its groups give no longer ends at once; where it is switched off,
    another one, or for others than before, so do the sign-ins there.

    Raises InvalidInput; Conflict where that would leave nobody to administer.
    """
    is_for_staff = fields.audience == "staff"
    if bool(fields.posts) != is_for_staff:
        raise InvalidInput("providers.posts_needed" if is_for_staff else "providers.no_posts", field="posts")
    if not is_for_staff and owner_id != PROVINCE:
        raise InvalidInput("providers.citizens_provincial", field="audience")
    posts = [_post_of(session, owner_id, number, one) for number, one in enumerate(fields.posts)]
    provider = _found(session, owner_id, fields.slug)
    if provider is None:
        provider = IdentityProvider(municipality_id=owner_id, slug=fields.slug)
        session.add(provider)
    _put_secret(provider, fields)  # before the issuer
    is_another = (provider.issuer, provider.audience) != (fields.issuer, fields.audience)
    for name in ("name_it", "name_en", "audience", "issuer", "client_id", "client_auth", "groups_claim", "email_claim"):
        setattr(provider, name, getattr(fields, name))
    for name in ("email_verified_claim", "name_claim", "fiscal_number_claim", "is_active"):
        setattr(provider, name, getattr(fields, name))
    for name in ("scopes", "acr_values", "strong_values"):
        setattr(provider, name, list(getattr(fields, name)))
    provider.changed_at = datetime.now(UTC)
    session.flush()
    session.execute(delete(ProviderPost).where(*_of(ProviderPost, provider)))
    whose = {"municipality_id": owner_id, "provider_id": provider.id}
    session.add_all(ProviderPost(**whose, **post) for post in posts)
    session.flush()
    if is_another or not provider.is_active:
        _end_sign_ins(session, provider)
        _take_away(session, by, provider)
    else:
        _take_away(session, by, provider, ~_is_given(provider))


def remove_provider(session: WriteSession, by: Staff, owner_id: int, slug: str) -> None:
    """Nobody signs in there any more; what its groups gave and the sign-ins there end.

    Raises NotFound; Conflict where that would leave nobody to administer.
    """
    provider = find_provider(session, owner_id, slug)
    _end_sign_ins(session, provider)
    _take_away(session, by, provider)
    session.delete(provider)


def providers_of(session: ReadSession, owner_id: int) -> list[IdentityProvider]:
    """All of one owner, by name."""
    return list(
        session.scalars(
            select(IdentityProvider).where(IdentityProvider.municipality_id == owner_id).order_by(IdentityProvider.slug)
        )
    )


def offered(session: ReadSession, municipality: str | None) -> list[tuple[str, IdentityProvider]]:
    """Where one may sign in, with the slug of the owner: those of `municipality` and of the province, else all."""
    wanted = (
        select(Municipality.slug, IdentityProvider)
        .join(IdentityProvider, IdentityProvider.municipality_id == Municipality.id)
        .where(IdentityProvider.is_active)
        .order_by(Municipality.slug, IdentityProvider.slug)
    )
    if municipality is not None:
        wanted = wanted.where((Municipality.slug == municipality) | (Municipality.id == PROVINCE))
    return [(owner, provider) for owner, provider in session.execute(wanted)]


def find_provider(session: ReadSession, owner_id: int, slug: str) -> IdentityProvider:
    """The provider of `owner_id` called so. Raises NotFound."""
    provider = _found(session, owner_id, slug)
    if provider is None:
        raise NotFound("providers.not_found", value=slug)
    return provider


def find_active(session: ReadSession, owner: str, slug: str) -> IdentityProvider:
    """The provider of the municipality of that slug where people may sign in now. Raises NotFound."""
    provider = _found(session, territory.home(session, owner).id, slug)
    if provider is None or not provider.is_active:
        raise NotFound("providers.not_found", value=slug)
    return provider


def group_posts(session: ReadSession, provider: IdentityProvider) -> list[GroupPost]:
    """What the provider's groups give, with the slugs of departments and crews."""
    return [
        GroupPost(post.member_of, post.role, department, crew, Narrowing.of(post.groups, post.categories, post.zones))
        for post, department, crew in people.named(session, ProviderPost, *_of(ProviderPost, provider))
    ]


def client_of(session: ReadSession, provider: IdentityProvider) -> Client:
    """We, as the provider knows us. Raises Unavailable where the installation's secret is another one now."""
    return Client(
        issuer=provider.issuer,
        client_id=provider.client_id,
        secret=unsealed(provider.secret, _PURPOSE),
        client_auth=provider.client_auth,
        is_internal=allowed_hosts.door(session, provider.issuer).is_internal,
        scopes=tuple(provider.scopes),
        acr_values=tuple(provider.acr_values),
    )


def _put_secret(provider: IdentityProvider, fields: ProviderFields) -> None:
    """Take the secret. One that is kept goes to no other issuer: it would be told to whoever stands there."""
    if fields.secret:
        provider.secret = sealed(fields.secret, _PURPOSE)
    elif provider.secret is None or provider.issuer != fields.issuer:
        raise InvalidInput("providers.secret_needed", field="secret")
    if fields.client_auth == "private_key_jwt":
        identity.check_key(unsealed(provider.secret, _PURPOSE))


def _post_of(session: ReadSession, owner_id: int, number: int, wanted: GroupPost) -> dict[str, Any]:
    """The columns of one post of the map. Raises InvalidInput."""
    if wanted.role == "province_admin" and owner_id != PROVINCE:
        raise InvalidInput("providers.not_provincial", field=f"posts.{number}.role")
    where = {"department": wanted.department, "crew": wanted.crew}
    try:
        post = people.post_of(session, owner_id, wanted.role, within=wanted.within, **where)
    except InvalidInput as error:
        error.field = f"posts.{number}.{error.field}"
        raise
    return {"member_of": wanted.member_of, **post}


def _end_sign_ins(session: WriteSession, provider: IdentityProvider) -> None:
    """Whoever came from there is out, and whoever has just come does not get in."""
    sign_ins.end(session, AccessToken, *_of(AccessToken, provider))
    if provider.municipality_id == PROVINCE:
        sign_ins.end(session, CitizenSession, CitizenSession.provider_id == provider.id)
    session.execute(delete(SignInTicket).where(*_of(SignInTicket, provider)))


def _take_away(session: WriteSession, by: Staff, provider: IdentityProvider, *which: ColumnElement[bool]) -> None:
    """What its groups gave ends, or `which` of it. Raises Conflict where nobody would be left to administer."""
    session.execute(delete(Appointment).where(*_of(Appointment, provider), *which))
    roles.check_administrable(session, by, provider.municipality_id)


def _is_given(provider: IdentityProvider) -> ColumnElement[bool]:
    """Whether an appointment is one that some group gives."""
    same = (getattr(ProviderPost, name).is_not_distinct_from(getattr(Appointment, name)) for name in POST_COLUMNS)
    return exists().where(*_of(ProviderPost, provider), *same)


def _of(
    table: type[AccessToken | Appointment | ProviderPost | SignInTicket], provider: IdentityProvider
) -> tuple[ColumnElement[bool], ...]:
    return table.municipality_id == provider.municipality_id, table.provider_id == provider.id


def _found(session: ReadSession, owner_id: int, slug: str) -> IdentityProvider | None:
    return session.scalar(
        select(IdentityProvider).where(IdentityProvider.municipality_id == owner_id, IdentityProvider.slug == slug)
    )
