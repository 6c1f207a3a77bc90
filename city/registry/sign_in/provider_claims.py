"""What the claims of a provider say of somebody, in the words of its claim map."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from city.errors import Forbidden
from city.registry.channels.outside_bodies import MAIL
from city.registry.sign_in.provider_tables import IdentityProvider

LONGEST_NAME: Final = 120
LONGEST_EMAIL: Final = 254

_FISCAL_NUMBER: Final = re.compile(r"(TINIT-)?[A-Z0-9]{11,16}", re.IGNORECASE | re.ASCII)

Claims = Mapping[str, Any]


class Proved(NamedTuple):
    """What a provider has proved of a citizen."""

    email: str | None
    fiscal_number: str | None
    name: str | None


def wanted_of(provider: IdentityProvider) -> tuple[str, ...]:
    """The claims that we cannot do without: where the ID token has them not, the provider is asked once more."""
    who = provider.groups_claim if provider.audience == "staff" else provider.fiscal_number_claim
    return tuple(name for name in (who, *address_claims(provider), provider.name_claim) if name)


def address_claims(provider: IdentityProvider) -> tuple[str, ...]:
    """The claims that say the address, and whether it is proved: good only as said in one breath."""
    return tuple(name for name in (provider.email_claim, provider.email_verified_claim) if name)


def email_of(provider: IdentityProvider, claims: Claims) -> str | None:
    """Their address; None where there is none, or one with letters that can become others in small letters."""
    email = _line(claims.get(provider.email_claim))
    return email if MAIL.fullmatch(email) and email.isascii() and len(email) <= LONGEST_EMAIL else None


def name_of(provider: IdentityProvider, claims: Claims) -> str | None:
    """What they are called; where the provider says it in two parts, both."""
    parts = f"{_line(claims.get('given_name'))} {_line(claims.get('family_name'))}".strip()
    return (_line(claims.get(provider.name_claim)) or parts)[:LONGEST_NAME] or None


def groups_of(provider: IdentityProvider, claims: Claims) -> set[str]:
    """The groups they are in."""
    return _words(claims.get(provider.groups_claim))


def is_verified(provider: IdentityProvider, claims: Claims) -> bool:
    """Whether the provider answers for the address."""
    name = provider.email_verified_claim
    return name is None or claims.get(name) is True or claims.get(name) == "true"


def proved_of(provider: IdentityProvider, claims: Claims) -> Proved:
    """What is proved of a citizen: an address only where the provider answers for it.

    Raises Forbidden where neither an address nor a fiscal number is.
    """
    number = _line(claims.get(provider.fiscal_number_claim)) if provider.fiscal_number_claim else ""
    proved = Proved(
        email_of(provider, claims) if is_verified(provider, claims) else None,
        number if _FISCAL_NUMBER.fullmatch(number) else None,
        name_of(provider, claims),
    )
    if proved.email is None and proved.fiscal_number is None:
        raise Forbidden("providers.nothing_proved")
    return proved


def is_strong(provider: IdentityProvider, claims: Claims) -> bool:
    """Whether the provider has asked for what counts as a second factor."""
    met = _words(claims.get("amr")) | _words(claims.get("acr"))
    return not met.isdisjoint(provider.strong_values)


def _words(value: Any) -> set[str]:
    """A claim of one word or of several."""
    return {word for word in (value if isinstance(value, list) else [value]) if isinstance(word, str)}


def _line(value: Any) -> str:
    """A claim as one line of text; empty where it is none."""
    return "".join(letter for letter in value if letter.isprintable()).strip() if isinstance(value, str) else ""
