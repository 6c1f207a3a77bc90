"""What a provider is asked for once more where its ID token does not say it."""

from __future__ import annotations

import pytest

from city.registry.sign_in.provider_claims import wanted_of
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
