"""Providers of identities, by OpenID Connect: authorization code with PKCE, and nothing believed that is not proved.

https://openid.net/specs/openid-connect-core-1_0.html, openid-connect-discovery-1_0, openid-connect-rpinitiated-1_0, and
RFC 9700 for what has been learnt since. What a provider says of itself and its keys are kept for an hour in each
process; a key that we do not know is asked for once a minute at most.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from urllib.parse import quote_plus, urlencode, urlsplit

import orjson
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwk, jws, jwt
from joserfc.errors import JoseError

from city.errors import Forbidden, InvalidInput, NotAuthenticated, Unavailable
from city.outside.strangers import Answer, Door, NotAllowed, call

ALGORITHMS: Final = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
    "Ed25519",
)
"""Never `none`, and never one whose key the client has too."""
_KINDS: Final[dict[str, type[jwk.RSAKey | jwk.ECKey | jwk.OKPKey]]] = {
    "RSA": jwk.RSAKey,
    "EC": jwk.ECKey,
    "OKP": jwk.OKPKey,
}
"""Kinds of keys of which one half is public."""
_OWN_ALGORITHMS: Final = {"RSA": "RS256", "EC": "ES256", "OKP": "EdDSA"}
"""What we sign with, by the kind of our own key."""
CLIENT_AUTHS: Final = ("client_secret_basic", "client_secret_post", "private_key_jwt")
KEPT_SECONDS: Final = 3600.0
KEYS_ANEW_SECONDS: Final = 60.0
LEEWAY_SECONDS: Final = 30
"""How far the provider's clock may be from ours."""
AT_ONCE: Final = 4
"""Threads that may wait for providers at the same time."""
PATIENCE_SECONDS: Final = 2.0
LONGEST_SUBJECT: Final = 255
_FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}


class _Registry(jws.JWSRegistry):
    """Takes headers that carry certificates, as those of brokers do."""

    max_header_length = 16_384


@dataclass(frozen=True, slots=True)
class Client:
    """We, as one provider knows us."""

    issuer: str
    client_id: str
    secret: str
    """For `private_key_jwt` our private key: PEM, or a JWK."""
    client_auth: str = "client_secret_basic"
    is_internal: bool = False
    """Whether the host of `issuer` may stand in a private network."""
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    acr_values: tuple[str, ...] = ()
    """The levels of assurance that are asked for; if there are any, one of them is wanted."""


class Metadata(NamedTuple):
    """What a provider says of itself."""

    authorization: str
    token: str
    keys: str
    userinfo: str | None
    end_session: str | None
    names_itself: bool
    """Whether it says in every answer who it is (RFC 9207)."""


class Pending(NamedTuple):
    """What belongs to one sign-in from its begin to its end."""

    redirect_uri: str
    state: str
    nonce: str
    verifier: str


@dataclass
class _Known:
    """What is kept of one provider."""

    metadata: Metadata
    read_at: float
    keys: jwk.KeySet | None = None
    keys_read_at: float = 0.0


_known: Final[dict[tuple[str, bool], _Known]] = {}
_places: Final = threading.BoundedSemaphore(AT_ONCE)


def forget() -> None:
    """Forget what providers have said of themselves."""
    _known.clear()


def sign_in_address(client: Client, pending: Pending, language: str) -> str:
    """Where to send the browser. Raises Unavailable where the provider does not say."""
    more = {"acr_values": " ".join(client.acr_values)} if client.acr_values else {}
    return str(
        prepare_grant_uri(
            _known_of(client).metadata.authorization,
            client_id=client.client_id,
            response_type="code",
            redirect_uri=pending.redirect_uri,
            scope=" ".join(dict.fromkeys(("openid", *client.scopes))),
            state=pending.state,
            nonce=pending.nonce,
            code_challenge=create_s256_code_challenge(pending.verifier),
            code_challenge_method="S256",
            ui_locales=language,
            **more,
        )
    )


def sign_out_address(client: Client, back_to: str) -> str | None:
    """Where the browser goes to be signed out there too; None where the provider has no such page, or is not there."""
    try:
        page = _known_of(client).metadata.end_session
    except Unavailable:
        return None
    query = urlencode({"client_id": client.client_id, "post_logout_redirect_uri": back_to})
    return f"{page}{'&' if '?' in page else '?'}{query}" if page else None


def redeem(
    client: Client,
    pending: Pending,
    code: str,
    wanted: tuple[str, ...],
    named: str | None,
    *,
    as_one: tuple[str, ...] = (),
) -> dict[str, Any]:
    """What is proved of whoever comes back with `code`: the claims of the ID token, and of the provider's userinfo
    where one of those `wanted` is missing. `named`: who the answer says it comes from. `as_one`: claims that speak of
    one another, such as an address and whether it is proved: all of the one answer, or all of the other.

    Raises NotAuthenticated where anything is not as it must be, Forbidden where the level of assurance is too low,
    Unavailable where the provider does not answer, or not sensibly.
    """
    known = _known_of(client)
    metadata = known.metadata
    if named != client.issuer and (named is not None or metadata.names_itself):
        raise NotAuthenticated("identity.not_proved", reason="iss")
    said = _token_answer(client, metadata, pending, code)
    token, access = said.get("id_token"), said.get("access_token")
    if not isinstance(token, str) or not isinstance(access, str):
        raise Unavailable("identity.not_understood", what="token")
    claims = _proved(client, known, pending, token, access)
    if client.acr_values and claims.get("acr") not in client.acr_values:
        raise Forbidden("identity.low_level")
    if metadata.userinfo and any(name not in claims for name in wanted):
        more = _userinfo(client, metadata.userinfo, access, claims["sub"])
        whole = claims if more.keys().isdisjoint(as_one) or all(name in claims for name in as_one) else more
        return more | claims | {name: whole.get(name) for name in as_one}
    return claims


def look(client: Client, redirect_uri: str) -> tuple[Metadata, int]:
    """What the provider says of itself, asked anew, and how many keys we can use; it is asked whether it knows us, too.

    Raises Unavailable, saying which part does not work.
    """
    _known.pop((client.issuer, client.is_internal), None)
    with _looking_at("discovery"):
        known = _known_of(client)
    with _looking_at("keys"):
        number = len(_keys(client, known, None).keys)
    with _looking_at("token"):
        _knock(client, known.metadata, redirect_uri)
    return known.metadata, number


@contextmanager
def _looking_at(part: str) -> Iterator[None]:
    """Whoever administers wants to know what is silent, and where."""
    try:
        yield
    except Unavailable as error:
        if error.key == "identity.silent":
            address, problem = error.values["address"], error.values["problem"]
            raise Unavailable(f"identity.look_{part}", address=address, problem=problem) from error
        raise


def _knock(client: Client, metadata: Metadata, redirect_uri: str) -> None:
    """Try to redeem a code that nobody was given: who knows us refuses the code, and not us. Raises Unavailable."""
    made_up = Pending(redirect_uri, *(secrets.token_urlsafe(32) for _ in range(3)))
    with suppress(NotAuthenticated):
        _token_answer(client, metadata, made_up, secrets.token_urlsafe(32))


def check_key(secret: str) -> None:
    """Raises InvalidInput (field `secret`) where it is no private key that we can sign with."""
    try:
        is_private = _own_key(secret).is_private
    except (JoseError, ValueError, KeyError) as error:
        raise InvalidInput("identity.no_private_key", field="secret") from error
    if not is_private:
        raise InvalidInput("identity.no_private_key", field="secret")


def _own_key(secret: str) -> jwk.RSAKey | jwk.ECKey | jwk.OKPKey:
    """Our private key. Raises JoseError, ValueError, KeyError."""
    text = secret.strip()
    if not text.startswith("{"):
        return _of_pem(text)
    said = orjson.loads(text)
    return _KINDS[said["kty"]].import_key(said)


def _of_pem(text: str) -> jwk.RSAKey | jwk.ECKey | jwk.OKPKey:
    for kind in _KINDS.values():
        try:
            return kind.import_key(text)
        except (JoseError, ValueError, TypeError):
            continue
    raise ValueError("no PEM")


def _known_of(client: Client) -> _Known:
    """What is kept of the provider; asked for where that is nothing, or old. Raises Unavailable."""
    known = _known.get((client.issuer, client.is_internal))
    if known is None or time.monotonic() - known.read_at > KEPT_SECONDS:
        known = _Known(_discovered(client), time.monotonic())
        _known[client.issuer, client.is_internal] = known
    return known


def _discovered(client: Client) -> Metadata:
    said = _json(_asked(client, "GET", f"{client.issuer.rstrip('/')}/.well-known/openid-configuration"), "discovery")
    if said.get("issuer") != client.issuer:
        raise Unavailable("identity.other_issuer", issuer=client.issuer, said=str(said.get("issuer"))[:200])
    return Metadata(
        authorization=_address(client, said, "authorization_endpoint") or "",
        token=_address(client, said, "token_endpoint") or "",
        keys=_address(client, said, "jwks_uri") or "",
        userinfo=_address(client, said, "userinfo_endpoint", is_needed=False),
        end_session=_address(client, said, "end_session_endpoint", is_needed=False),
        names_itself=said.get("authorization_response_iss_parameter_supported") is True,
    )


def _address(client: Client, said: Mapping[str, Any], name: str, *, is_needed: bool = True) -> str | None:
    """An address that the provider names: of https, or as our own issuer's. Raises Unavailable."""
    url = said.get(name)
    if url is None and not is_needed:
        return None
    schemes = ("https://", "http://") if isinstance(url, str) and _door(client, url).is_internal else ("https://",)
    if not isinstance(url, str) or not url.startswith(schemes) or not url.isascii() or not url.isprintable():
        raise Unavailable("identity.not_understood", what=name)
    return url


def _keys(client: Client, known: _Known, kid: str | None) -> jwk.KeySet:
    """The provider's keys; read anew where they are old, or where `kid` is none of them and a minute has passed."""
    age = time.monotonic() - known.keys_read_at
    is_unknown = kid is not None and known.keys is not None and all(key.kid != kid for key in known.keys.keys)
    if known.keys is None or age > KEPT_SECONDS or (is_unknown and age > KEYS_ANEW_SECONDS):
        known.keys = _read_keys(client, known.metadata.keys)
        known.keys_read_at = time.monotonic()
    return known.keys


def _read_keys(client: Client, url: str) -> jwk.KeySet:
    listed = _json(_asked(client, "GET", url), "jwks_uri").get("keys")
    keys = []
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, dict) and one.get("kty") in _KINDS and one.get("use", "sig") == "sig":
            try:
                keys.append(jwk.import_key(one))
            except (JoseError, ValueError, TypeError, KeyError):
                continue  # a kind or a curve of tomorrow: the others count
    if not keys:
        raise Unavailable("identity.not_understood", what="jwks_uri")
    return jwk.KeySet(keys)


def _token_answer(client: Client, metadata: Metadata, pending: Pending, code: str) -> dict[str, Any]:
    form = {"grant_type": "authorization_code", "code": code}
    form |= {"redirect_uri": pending.redirect_uri, "code_verifier": pending.verifier}
    url, headers, body = _client_auth(client, metadata).prepare("POST", metadata.token, dict(_FORM), urlencode(form))
    answer = _asked(client, "POST", url, headers=headers, body=body.encode(), may_refuse=True)
    said = _json(answer, "token_endpoint")
    if answer.is_good:
        return said
    if said.get("error") == "invalid_grant":
        raise NotAuthenticated("identity.code_refused")
    raise Unavailable("identity.we_are_refused")


def _client_auth(client: Client, metadata: Metadata) -> ClientAuth:
    """How we prove who we are. RFC 6749, 2.3.1: what goes into the header is written as in a form."""
    if client.client_auth == "private_key_jwt":
        key = _own_key(client.secret)
        sign = PrivateKeyJWT(metadata.token, headers={"kid": key.kid} if key.kid else None)
        sign.alg = _OWN_ALGORITHMS[key.key_type]
        return ClientAuth(client.client_id, key, sign)
    if client.client_auth == "client_secret_basic":
        return ClientAuth(quote_plus(client.client_id), quote_plus(client.secret), client.client_auth)
    return ClientAuth(client.client_id, client.secret, client.client_auth)


def _proved(client: Client, known: _Known, pending: Pending, token: str, access: str) -> dict[str, Any]:
    """The claims of an ID token whose signature, issuer, audience, time and nonce are right."""
    try:
        registry = _Registry(algorithms=ALGORITHMS, strict_check_header=False)
        kid = jws.extract_compact(token.encode(), registry=registry).headers().get("kid")
        found = jwt.decode(token, _keys(client, known, kid), algorithms=ALGORITHMS, registry=registry)
        claims = CodeIDToken(
            found.claims,
            found.header,
            options={
                "iss": {"essential": True, "value": client.issuer},
                "aud": {"essential": True, "value": client.client_id},
                "nonce": {"essential": True},
            },
            params={"nonce": pending.nonce, "client_id": client.client_id, "access_token": access},
        )
        claims.validate(leeway=LEEWAY_SECONDS)
    except (JoseError, ValueError, TypeError, KeyError) as error:
        reason = getattr(error, "claim", None) or type(error).__name__
        raise NotAuthenticated("identity.not_proved", reason=reason) from error
    if not 0 < len(claims["sub"]) <= LONGEST_SUBJECT:
        raise NotAuthenticated("identity.not_proved", reason="sub")
    return dict(claims)


def _userinfo(client: Client, url: str, access: str, subject: str) -> dict[str, Any]:
    """What the provider tells besides. Raises NotAuthenticated where it is of somebody else."""
    said = _json(_asked(client, "GET", url, headers={"Authorization": f"Bearer {access}"}), "userinfo_endpoint")
    if said.get("sub") != subject:
        raise NotAuthenticated("identity.not_proved", reason="userinfo")
    return said


def _door(client: Client, url: str) -> Door:
    """A private network is open to us only at the very host that was allowed."""
    try:
        is_same = urlsplit(url).netloc == urlsplit(client.issuer).netloc
    except ValueError:
        is_same = False
    return Door(url, client.is_internal and is_same)


def _asked(client: Client, method: str, url: str, *, may_refuse: bool = False, **how: Any) -> Answer:
    """An answer of the provider. Raises Unavailable."""
    with _waiting():
        try:
            answer = call(method, _door(client, url), **how)
        except NotAllowed as error:
            raise Unavailable("identity.not_allowed", host=urlsplit(url).hostname or "-") from error
        except Unavailable as error:
            raise Unavailable("identity.silent", address=url, problem=error.values.get("problem", "-")) from error
    if not answer.is_good and not (may_refuse and 400 <= answer.status < 500):  # noqa: PLR2004
        raise Unavailable("identity.silent", address=url, problem=f"HTTP {answer.status}")
    return answer


@contextmanager
def _waiting() -> Iterator[None]:
    """One of few places: a provider that hangs must not keep every thread. Raises Unavailable."""
    if not _places.acquire(timeout=PATIENCE_SECONDS):
        raise Unavailable("identity.silent", address="-", problem="Timeout")
    try:
        yield
    finally:
        _places.release()


def _json(answer: Answer, what: str) -> dict[str, Any]:
    try:
        said = orjson.loads(answer.body)
    except orjson.JSONDecodeError as error:
        raise Unavailable("identity.not_understood", what=what) from error
    if not isinstance(said, dict):
        raise Unavailable("identity.not_understood", what=what)
    return said
