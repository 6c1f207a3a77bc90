"""Signing in with an account one has already: where one may, and (for administrators) how it is set up."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Cookie, Query, Request, Response

from api import visitor
from api.access import Signed, administering
from api.problems import language_of
from api.schemas.base import Named, NamedIn, Slug
from api.schemas.citizen import CitizenSession
from api.schemas.provider import (
    CitizenTicketIn,
    GroupPostBody,
    ProviderBody,
    ProviderListed,
    ProviderLook,
    ProviderOffered,
    ProviderPut,
    TicketIn,
)
from api.schemas.sign_in import SessionOut
from city import pacing
from city.database import ReadSession, provincial
from city.outside import identity
from city.outside.identity import Client
from city.registry.channels import allowed_hosts
from city.registry.sign_in import provider_sign_in, providers, signing_in
from city.registry.sign_in.provider_tables import IdentityProvider, SignInTicket
from city.registry.sign_in.providers import GroupPost, ProviderFields
from city.settings import settings

PATH: Final = "/api/v1/session/oidc"
BROWSER_COOKIE: Final = "lampione-sign-in"
"""Binds a sign-in, and the ticket for it, to the browser in which it began."""
COOKIE_PATH: Final = "/api/v1"

router = APIRouter()
Browser = Annotated[str, Cookie(alias=BROWSER_COOKIE, max_length=100)]
administration = APIRouter(prefix="/api/v1/registry/{owner}/providers", tags=["administration"])


def sign_in_address(owner: str, slug: str) -> str:
    """Where signing in at this provider begins."""
    return f"{settings().public_url.rstrip('/')}{PATH}/{owner}/{slug}"


def return_address(owner: str, slug: str) -> str:
    """Where it ends: each provider has its own, so that none can answer for another."""
    return f"{sign_in_address(owner, slug)}/callback"


def sign_out_return_address() -> str:
    """Where the browser comes back to once it is signed out at a provider."""
    return f"{settings().public_url.rstrip('/')}/"


@router.get(PATH, tags=["session"])
def list_offered(municipality: Annotated[Slug | None, Query()] = None) -> list[ProviderOffered]:
    """Where one may sign in with an account one has already: at one municipality's providers, or at all."""
    with provincial() as session:
        return [
            ProviderOffered(
                owner=owner,
                slug=provider.slug,
                name=Named(it=provider.name_it, en=provider.name_en),
                audience=provider.audience,
                address=sign_in_address(owner, provider.slug),
            )
            for owner, provider in providers.offered(session, municipality)
        ]


@router.post(PATH, status_code=201, tags=["session"])
def exchange_ticket(request: Request, body: TicketIn, response: Response, browser: Browser = "") -> SessionOut:
    """Exchange the ticket that a browser came back with for a sign-in, once and within a minute.

    Where the provider has asked for no second factor and one is set up here, `code` is asked for.
    """
    with provincial() as session:
        ticket = provider_sign_in.ticket_of(session, body.ticket, browser)
        client = _client_of(session, ticket)
        email = provider_sign_in.holder(session, ticket).email
    with pacing.failures(*signing_in.paces(email, visitor.network(request))), provincial() as session:
        begun = provider_sign_in.exchange(session, ticket, body.code, visitor.device(request))
    response.headers["Cache-Control"] = "no-store"
    return SessionOut.of(begun, identity.sign_out_address(client, sign_out_return_address()))


@router.post("/api/v1/citizen/session/oidc", status_code=201, tags=["citizen"])
def exchange_citizens_ticket(
    request: Request, body: CitizenTicketIn, response: Response, browser: Browser = ""
) -> CitizenSession:
    """Exchange the ticket that a citizen's browser came back with for a sign-in, once and within a minute."""
    with provincial() as session:
        ticket = provider_sign_in.ticket_of(session, body.ticket, browser)
        client = _client_of(session, ticket)
        language, device = language_of(request), visitor.device(request)
        begun = provider_sign_in.exchange_of_citizen(session, ticket, language, device)
    response.headers["Cache-Control"] = "no-store"
    return CitizenSession.of_sign_in(begun, identity.sign_out_address(client, sign_out_return_address()))


@administration.get("")
def list_providers(owner: Slug, staff: Signed) -> list[ProviderListed]:
    """The providers of a municipality or of the province. Secrets are told to nobody."""
    with administering(staff, owner) as (session, home):
        return [_listed(session, owner, provider) for provider in providers.providers_of(session, home.id)]


@administration.put("/{slug}", status_code=204)
def put_provider(owner: Slug, slug: Slug, body: ProviderPut, staff: Signed) -> None:
    """Make or change a provider. One in a private network is called only if the province allows its host.

    What groups give counts from each person's next sign-in, and ends at once where they give it no longer. Where the
    provider is switched off, or its issuer is another one, the sign-ins there end too.
    """
    with administering(staff, owner) as (session, _):
        door = allowed_hosts.door(session, body.issuer)
    providers.check_issuer(door)  # asks the network
    fields = body.model_dump(exclude={"name", "posts"})
    posts = [GroupPost(one.member_of, one.role, one.department, one.crew, one.narrowing) for one in body.posts]
    with administering(staff, owner) as (session, home):
        wanted = ProviderFields(slug=slug, name_it=body.name.it, name_en=body.name.en, posts=posts, **fields)
        providers.put_provider(session, staff, home.id, wanted)


@administration.delete("/{slug}", status_code=204)
def delete_provider(owner: Slug, slug: Slug, staff: Signed) -> None:
    """Take a provider away: nobody signs in there any more. What its groups gave and the sign-ins there end at once."""
    with administering(staff, owner) as (session, home):
        providers.remove_provider(session, staff, home.id, slug)


@administration.post("/{slug}/test")
def try_provider(owner: Slug, slug: Slug, staff: Signed) -> ProviderLook:
    """Ask the provider what it says of itself, for its keys, and whether it knows us; what does not work is said in
    words, and what can be done.
    """
    with administering(staff, owner) as (session, home):
        client = providers.client_of(session, providers.find_provider(session, home.id, slug))
    metadata, keys = identity.look(client, return_address(owner, slug))
    return ProviderLook(
        authorization=metadata.authorization,
        token=metadata.token,
        userinfo=metadata.userinfo,
        sign_out=metadata.end_session,
        keys=keys,
    )


def _client_of(session: ReadSession, ticket: SignInTicket) -> Client:
    return providers.client_of(session, session.get_one(IdentityProvider, ticket.provider_key))


def _listed(session: ReadSession, owner: str, provider: IdentityProvider) -> ProviderListed:
    facts = {name: getattr(provider, name) for name in ProviderBody.model_fields if name not in {"name", "posts"}}
    return ProviderListed(
        slug=provider.slug,
        name=NamedIn(it=provider.name_it, en=provider.name_en),
        posts=[_shown(post) for post in providers.group_posts(session, provider)],
        return_address=return_address(owner, provider.slug),
        sign_out_return_address=sign_out_return_address(),
        **facts,
    )


def _shown(post: GroupPost) -> GroupPostBody:
    return GroupPostBody(
        member_of=post.member_of,
        role=post.role,
        department=post.department,
        crew=post.crew,
        groups=sorted(post.within.groups),
        categories=sorted(post.within.categories),
        zones=sorted(post.within.zones),
    )
