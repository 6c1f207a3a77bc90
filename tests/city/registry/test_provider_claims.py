"""What a provider is asked for, and what of its answers is believed."""

from __future__ import annotations

from typing import Any

import pytest

from city.registry.sign_in.provider_claims import is_verified, proved_of, wanted_of
from city.registry.sign_in.provider_tables import IdentityProvider


@pytest.mark.parametrize("audience", ["staff", "citizens"])
def test_whether_an_address_is_proved_is_asked_for_too(audience: str) -> None:
    provider = IdentityProvider(
        audience=audience,
        groups_claim="groups",
        email_claim="email",
        email_verified_claim="email_verified",
        name_claim="name",
        fiscal_number_claim=None,
    )
    assert {"email", "email_verified", "name"} <= set(wanted_of(provider))
    provider.email_verified_claim = None
    assert set(wanted_of(provider)) == {"email", "name", *(["groups"] if audience == "staff" else [])}


@pytest.mark.parametrize("said", [False, "false", "False", "yes", 1, "1", ["true"], {"email": True}, "", None])
def test_only_a_plain_yes_proves_an_address(said: Any) -> None:
    provider = IdentityProvider(
        email_claim="email", email_verified_claim="email_verified", name_claim="name", fiscal_number_claim="number"
    )
    claims = {"email": "anna@example.org", "number": "BNCNNA80A41L500X", "email_verified": said}
    assert not is_verified(provider, claims)
    assert proved_of(provider, claims).email is None
    for yes in (True, "true"):
        assert proved_of(provider, claims | {"email_verified": yes}).email == "anna@example.org"
    assert not is_verified(provider, {"email": "anna@example.org", "verified": True})
