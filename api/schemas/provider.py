"""What goes in and out about providers of identities."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from api.schemas.base import Line, Named, NamedIn, Strict
from api.schemas.role import AppointmentIn
from api.schemas.sign_in import Code
from city.outside.strangers import LONGEST_ADDRESS
from city.registry.sign_in.providers import FISCAL_NUMBER

Audience = Literal["staff", "citizens"]
ClientAuth = Literal["client_secret_basic", "client_secret_post", "private_key_jwt"]
Claim = Annotated[Line, StringConstraints(min_length=1, max_length=200)]
Word = Annotated[str, StringConstraints(pattern=r"^[\x21\x23-\x5b\x5d-\x7e]{1,200}$")]
"""A word of an OAuth list."""
Words = Annotated[list[Word], Field(max_length=20)]
Issuer = Annotated[Line, StringConstraints(max_length=LONGEST_ADDRESS, pattern=r"^https?://[^\s?#]+$")]


class GroupPostBody(AppointmentIn):
    """Whoever is in this group of the provider has this role."""

    member_of: Annotated[Line, StringConstraints(min_length=1, max_length=200)]


class ProviderBody(Strict):
    """An OpenID Connect provider, and how its claims are read."""

    name: NamedIn
    audience: Audience
    issuer: Annotated[Issuer, Field(examples=["https://login.example.org/realms/comune"])]
    """Exactly as the provider writes it itself."""
    client_id: Annotated[Line, StringConstraints(min_length=1, max_length=200)]
    client_auth: ClientAuth = "client_secret_basic"
    scopes: Words = Field(default_factory=lambda: ["openid", "profile", "email"])
    acr_values: Words = Field(default_factory=list)
    """The levels of assurance that are good enough, the best first; none: any."""
    strong_values: Words = Field(default_factory=list)
    """The values of acr or amr that stand for a second factor."""
    groups_claim: Claim = "groups"
    email_claim: Claim = "email"
    email_verified_claim: Claim | None = "email_verified"
    """null: the provider answers for all its addresses."""
    name_claim: Claim = "name"
    fiscal_number_claim: Claim | None = FISCAL_NUMBER
    posts: Annotated[list[GroupPostBody], Field(max_length=200)] = Field(default_factory=list)
    """Which groups may sign in, as what; for staff only."""
    is_active: bool = True


class ProviderPut(ProviderBody):
    """A provider, as it should be. A secret that is left out stays, unless the issuer is another one.

    For private_key_jwt it is our private key.
    """

    secret: Annotated[str, StringConstraints(min_length=1, max_length=10_000)] | None = None


class ProviderListed(ProviderBody):
    """A provider. Its secret is told to nobody."""

    slug: str
    return_address: str
    """What the provider has to be told as our redirect URI."""
    sign_out_return_address: str
    """And as our post-logout redirect URI."""


class ProviderLook(BaseModel):
    """What a provider says of itself."""

    authorization: str
    token: str
    userinfo: str | None
    sign_out: str | None
    keys: int
    """How many of its keys we can use."""


class ProviderOffered(BaseModel):
    """Where one may sign in."""

    owner: str
    slug: str
    name: Named
    audience: str
    """staff or citizens."""
    address: str
    """To be opened in the browser; `?return_to=/page` says where it comes back to, with `#ticket=…`."""


class CitizenTicketIn(Strict):
    """The ticket of a browser that came back."""

    ticket: Annotated[Line, StringConstraints(max_length=100)]


class TicketIn(CitizenTicketIn):
    """The same of staff, and the code of the authenticator app if one is asked for."""

    code: Code | None = None
