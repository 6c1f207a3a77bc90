"""Staff who come from their municipality's provider of identities, appointed as its groups say."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import delete, func, select

from city.database import ReadSession, WriteSession
from city.errors import Conflict, Forbidden, InvalidInput
from city.registry.sign_in.provider_claims import Claims, email_of, groups_of, is_verified, name_of
from city.registry.sign_in.provider_tables import POST_COLUMNS, IdentityProvider, PersonIdentity, ProviderPost
from city.registry.staff import roles
from city.registry.staff.rights import Right
from city.registry.staff.role_tables import Role
from city.registry.tables import Appointment, Person

LONGEST_ABSENCE: Final = timedelta(days=90)


def arrives(session: WriteSession, provider: IdentityProvider, claims: Claims) -> Person | None:
    """Whoever these claims are of, with the appointments that their groups give now; None where they give none, and
    whatever they gave before is taken away all the same.

    Raises Conflict, Forbidden, InvalidInput.
    """
    session.refresh(provider, with_for_update={"key_share": True})  # arrivals take turns: one person is made known once
    posts = _posts(session, provider, claims)
    person = _known(session, provider, claims["sub"])
    if person is None and posts:
        person = _linked(session, provider, claims)
    if person is None:
        return None
    _appoint(session, provider, person, posts)
    if not posts:
        return None
    if not person.is_active:
        raise Forbidden("providers.switched_off")
    person.name = name_of(provider, claims) or person.name
    return person


def identities(session: ReadSession, municipality_id: int, person_id: int) -> list[PersonIdentity]:
    """The accounts at providers that this person signs in with."""
    return list(
        session.scalars(
            select(PersonIdentity)
            .where(PersonIdentity.municipality_id == municipality_id, PersonIdentity.person_id == person_id)
            .order_by(PersonIdentity.linked_at)
        )
    )


def unlink(session: WriteSession, municipality_id: int, person_id: int) -> None:
    """Nobody at any provider is this person any more."""
    session.execute(
        delete(PersonIdentity).where(
            PersonIdentity.municipality_id == municipality_id, PersonIdentity.person_id == person_id
        )
    )


def forget_absent(session: WriteSession) -> None:
    """Take away what groups gave to people who have not come for long: who has left the office never comes again."""
    still_comes = (
        select(PersonIdentity.person_id)
        .join(
            IdentityProvider,
            (IdentityProvider.municipality_id == PersonIdentity.municipality_id)
            & (IdentityProvider.issuer == PersonIdentity.issuer),
        )
        .where(
            IdentityProvider.municipality_id == Appointment.municipality_id,
            IdentityProvider.id == Appointment.provider_id,
            PersonIdentity.person_id == Appointment.person_id,
            PersonIdentity.seen_at > func.now() - LONGEST_ABSENCE,
        )
        .exists()
    )
    session.execute(delete(Appointment).where(Appointment.provider_id.is_not(None), ~still_comes))


def _known(session: WriteSession, provider: IdentityProvider, subject: str) -> Person | None:
    identity = session.get(PersonIdentity, (provider.municipality_id, provider.issuer, subject))
    if identity is None:
        return None
    identity.seen_at = datetime.now(UTC)
    return session.get(Person, (identity.municipality_id, identity.person_id))


def _linked(session: WriteSession, provider: IdentityProvider, claims: Claims) -> Person:
    """The person of this address, which the provider has proved to be theirs; somebody new where it is nobody's."""
    email = email_of(provider, claims)
    if email is None:
        raise InvalidInput("providers.no_email", claim=provider.email_claim)
    if not is_verified(provider, claims):
        raise Conflict("providers.not_verified")
    person = session.scalar(select(Person).where(func.lower(Person.email) == email.lower()))
    if person is None:
        name = name_of(provider, claims) or email
        person = Person(municipality_id=provider.municipality_id, email=email, name=name)
        session.add(person)
        session.flush()
    elif person.municipality_id != provider.municipality_id:
        raise Conflict("providers.works_elsewhere")
    elif _has_account(session, provider, person):
        raise Conflict("providers.other_account")
    session.add(
        PersonIdentity(
            municipality_id=provider.municipality_id,
            issuer=provider.issuer,
            subject=claims["sub"],
            person_id=person.id,
        )
    )
    return person


def _has_account(session: WriteSession, provider: IdentityProvider, person: Person) -> bool:
    return (
        session.scalar(
            select(PersonIdentity.subject).where(
                PersonIdentity.municipality_id == person.municipality_id,
                PersonIdentity.person_id == person.id,
                PersonIdentity.issuer == provider.issuer,
            )
        )
        is not None
    )


def _posts(session: WriteSession, provider: IdentityProvider, claims: Claims) -> list[dict[str, Any]]:
    """What the groups of these claims give, as columns of appointments, each once."""
    found = session.scalars(
        select(ProviderPost)
        .where(
            ProviderPost.municipality_id == provider.municipality_id,
            ProviderPost.provider_id == provider.id,
            ProviderPost.member_of.in_(groups_of(provider, claims)),
        )
        .order_by(ProviderPost.id)
    )
    posts: list[dict[str, Any]] = []
    for one in found:
        if (post := _columns(one)) not in posts:
            posts.append(post)
    return posts


def _appoint(
    session: WriteSession, provider: IdentityProvider, person: Person, posts: Sequence[dict[str, Any]]
) -> None:
    """Make what this provider's groups have given equal to `posts`; what was given by hand stays.

    Raises Conflict where that takes administration from the last who has it: nothing is taken, and they stay outside.
    """
    whose = {"municipality_id": person.municipality_id, "person_id": person.id, "provider_id": provider.id}
    missing, administered = list(posts), False
    for one in session.scalars(select(Appointment).filter_by(**whose)).all():
        if (post := _columns(one)) in missing:
            missing.remove(post)
        else:
            administered |= Right.ADMINISTER.value in session.get_one(Role, (one.role_owner_id, one.role)).rights
            session.delete(one)
    session.add_all(Appointment(**whose, **post) for post in missing)
    session.flush()
    if administered and not roles.is_administrable(session, person.municipality_id):
        raise Conflict("providers.last_administrator")


def _columns(post: Appointment | ProviderPost) -> dict[str, Any]:
    return {name: getattr(post, name) for name in POST_COLUMNS}
