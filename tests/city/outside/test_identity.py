"""A provider of identities that lies: nothing it says is believed unless it is proved."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest
from joserfc import jwk, jws, jwt

from city.errors import Forbidden, InvalidInput, LampioneError, NotAuthenticated, Unavailable
from city.outside import identity
from city.outside.identity import Client, Pending, check_key, look, redeem, sign_in_address, sign_out_address
from city.settings import settings
from tests.lying_provider import WE, Claims, Liar, lying, new_key, now

BACK: Final = Pending("http://lampione.test/back", "the state", "the nonce", "v" * 64)


@pytest.fixture(scope="module")
def _listening() -> Iterator[tuple[Liar, Callable[[], None]]]:
    with lying() as there:
        yield there


@pytest.fixture
def liar(
    _listening: tuple[Liar, Callable[[], None]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Liar]:
    monkeypatch.setenv("LAMPIONE_SLOW_OUTSIDE_SECONDS", "5")
    monkeypatch.setenv("LAMPIONE_VAR", str(tmp_path))
    settings.cache_clear()
    identity.forget()
    found, made_honest = _listening
    made_honest()
    yield found
    settings.cache_clear()


def us(liar: Liar, **more: Any) -> Client:
    return Client(**{"issuer": liar.url, "client_id": WE, "secret": "s%+: x", "is_internal": True} | more)


def come_back(liar: Liar, *wanted: str, named: str | None = None, **more: Any) -> Claims:
    return redeem(us(liar, **more), BACK, BACK.nonce, wanted, named)


def test_an_honest_answer_is_believed(liar: Liar) -> None:
    claims = come_back(liar)
    assert claims["sub"] == "luisa"
    headers, form = liar.asked[0]
    assert headers["authorization"].startswith("Basic ")
    assert {name: values[0] for name, values in form.items()} == {
        "grant_type": "authorization_code",
        "code": BACK.nonce,
        "redirect_uri": BACK.redirect_uri,
        "code_verifier": BACK.verifier,
    }
    assert come_back(liar, named=liar.url)["sub"] == "luisa"


LIES: Final[list[tuple[Claims, str]]] = [
    ({"iss": "https://evil.example"}, "iss"),
    ({"iss": None}, "iss"),
    ({"aud": "somebody else"}, "aud"),
    ({"aud": ["somebody else"]}, "aud"),
    ({"aud": None}, "aud"),
    ({"aud": [WE, "another"]}, "azp"),
    ({"azp": "another"}, "azp"),
    ({"nonce": "of another sign-in"}, "nonce"),
    ({"nonce": None}, "nonce"),
    ({"nonce": ""}, "nonce"),
    ({"exp": now() - 3600}, "exp"),
    ({"exp": None}, "exp"),
    ({"exp": "never"}, "exp"),
    ({"exp": float("inf")}, "exp"),
    ({"iat": None}, "iat"),
    ({"iat": now() + 3600}, "iat"),
    ({"nbf": now() + 3600}, "nbf"),
    ({"sub": None}, "sub"),
    ({"sub": ""}, "sub"),
    ({"sub": 7}, "sub"),
    ({"sub": "x" * 256}, "sub"),
    ({"at_hash": "of another token"}, "at_hash"),
]


@pytest.mark.parametrize(("lie", "reason"), LIES)
def test_a_claim_that_is_not_as_it_must_be_is_refused(liar: Liar, lie: Claims, reason: str) -> None:
    liar.claims = lie
    with pytest.raises(NotAuthenticated) as refused:
        come_back(liar)
    assert refused.value.values == {"reason": reason}


def test_two_audiences_are_believed_where_we_are_the_party(liar: Liar) -> None:
    liar.claims = {"aud": [WE, "another"], "azp": WE}
    assert come_back(liar)["sub"] == "luisa"


def test_a_header_may_carry_certificates(liar: Liar) -> None:
    header = {"alg": "RS256", "kid": "first", "x5c": ["A" * 3_000] * 3, "of": "a broker's own"}
    lenient = jws.JWSRegistry(algorithms=["RS256"], strict_check_header=False)
    lenient.max_header_length = 16_384
    liar.sign = lambda said: jwt.encode(header, said, liar.key, registry=lenient)
    assert come_back(liar)["sub"] == "luisa"


def part(said: Claims) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(said)).decode().rstrip("=")


def made(header: Claims, said: Claims, secret: bytes | None) -> str:
    """A token signed (if at all) with a secret, by hand: no library would do it."""
    signed = f"{part(header)}.{part(said)}"
    proof = hmac.digest(secret, signed.encode(), hashlib.sha256) if secret is not None else b""
    return f"{signed}.{base64.urlsafe_b64encode(proof).decode().rstrip('=')}"


def test_a_signature_that_proves_nothing_is_refused(liar: Liar) -> None:
    stranger = new_key("first")
    pem = liar.key.as_pem(private=False)

    def with_key(said: Claims) -> str:
        header = {"alg": "RS256", "jwk": stranger.as_dict(private=False)}
        registry = jws.JWSRegistry(algorithms=["RS256"])
        return jwt.encode(header, said, stranger, registry=registry)

    lies: list[Callable[[Claims], str]] = [
        lambda said: made({"alg": "none"}, said, None),
        lambda said: made({"alg": "none", "kid": "first"}, said, None),
        lambda said: jwt.encode({"alg": "RS256", "kid": "first"}, said, stranger),
        lambda said: made({"alg": "HS256"}, said, b"s%+: x"),
        lambda said: made({"alg": "HS256", "kid": "first"}, said, pem),
        lambda said: jwt.encode({"alg": "RS256", "kid": "nobody's"}, said, liar.key),
        with_key,
        lambda said: jwt.encode({"alg": "RS256", "kid": "first"}, said, liar.key)[:-4] + "AAAA",
        lambda said: jwt.encode({"alg": "RS256", "kid": "first"}, said, liar.key).rsplit(".", 1)[0] + ".",
        lambda _: "no token at all",
        lambda _: "a.b.c",
        lambda _: "",
    ]
    for number, lie in enumerate(lies):
        liar.sign = lie
        with pytest.raises(NotAuthenticated) as refused:
            come_back(liar)
        assert refused.value.key == "identity.not_proved", number


def test_secret_keys_among_the_public_ones_are_passed_over(liar: Liar) -> None:
    shared = jwk.OctKey.import_key("x" * 32, {"kid": "shared"})
    for_secrets = new_key("second")
    liar.shown = [
        shared.as_dict(private=True),
        for_secrets.as_dict(private=False) | {"use": "enc"},
        {"kty": "of tomorrow", "kid": "x"},
        liar.key.as_dict(private=False),
    ]
    assert look(us(liar), BACK.redirect_uri)[1] == 1
    liar.sign = lambda said: jwt.encode({"alg": "HS256", "kid": "shared"}, said, shared)
    with pytest.raises(NotAuthenticated):
        come_back(liar)
    liar.sign = lambda said: jwt.encode({"alg": "RS256", "kid": "second"}, said, for_secrets)
    with pytest.raises(NotAuthenticated):
        come_back(liar)


def test_an_unknown_key_is_asked_for_once_a_minute(liar: Liar, monkeypatch: pytest.MonkeyPatch) -> None:
    come_back(liar)
    come_back(liar)
    assert liar.reads == 1
    liar.key = new_key("next")
    for _ in range(3):
        with pytest.raises(NotAuthenticated):
            come_back(liar)
    assert liar.reads == 1
    monkeypatch.setattr(identity, "KEYS_ANEW_SECONDS", 0.0)
    come_back(liar)
    come_back(liar)
    assert liar.reads == 2


def test_the_answer_must_name_the_provider_that_was_asked(liar: Liar) -> None:
    with pytest.raises(NotAuthenticated):
        come_back(liar, named="https://evil.example")
    identity.forget()
    liar.metadata = {"authorization_response_iss_parameter_supported": True}
    with pytest.raises(NotAuthenticated):
        come_back(liar)
    assert come_back(liar, named=liar.url)["sub"] == "luisa"


def test_the_level_of_assurance_must_be_one_of_those_wanted(liar: Liar) -> None:
    levels = ("https://www.spid.gov.it/SpidL2", "https://www.spid.gov.it/SpidL3")
    liar.claims = {"acr": levels[0]}
    assert come_back(liar, acr_values=levels)["acr"] == levels[0]
    for acr in (None, "https://www.spid.gov.it/SpidL1", [levels[0]]):
        liar.claims = {"acr": acr}
        with pytest.raises(Forbidden):
            come_back(liar, acr_values=levels)
    asked = parse_qs(urlsplit(sign_in_address(us(liar, acr_values=levels), BACK, "it")).query)
    assert asked["acr_values"] == [" ".join(levels)]
    assert asked["tenant"] == ["7"]
    assert (asked["nonce"], asked["state"], asked["ui_locales"]) == ([BACK.nonce], [BACK.state], ["it"])


def test_what_is_missing_is_asked_for_and_of_nobody_else(liar: Liar) -> None:
    liar.userinfo = {"sub": "luisa", "email": "luisa@example.org", "iss": "overruled"}
    claims = come_back(liar, "email")
    assert (claims["email"], claims["iss"]) == ("luisa@example.org", liar.url)
    assert "email" not in come_back(liar)
    for said in ({"sub": "another", "email": "x"}, {"email": "x"}):
        liar.userinfo = said
        with pytest.raises(NotAuthenticated):
            come_back(liar, "email")
    liar.userinfo = ["nonsense"]
    with pytest.raises(Unavailable):
        come_back(liar, "email")


@pytest.mark.parametrize(
    ("status", "body", "key"),
    [
        (400, '{"error": "invalid_grant"}', "identity.code_refused"),
        (401, '{"error": "invalid_client"}', "identity.we_are_refused"),
        (400, "{}", "identity.we_are_refused"),
        (500, "{}", "identity.silent"),
        (302, "{}", "identity.silent"),
        (200, "<html>", "identity.not_understood"),
        (200, "[]", "identity.not_understood"),
        (200, '{"access_token": "a"}', "identity.not_understood"),
        (200, '{"id_token": "a"}', "identity.not_understood"),
    ],
)
def test_a_call_that_goes_wrong_is_said_to(liar: Liar, status: int, body: str, key: str) -> None:
    liar.token_status, liar.token_body = status, body
    with pytest.raises(LampioneError) as refused:
        come_back(liar)
    assert refused.value.key == key


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://evil.example"},
        {"issuer": None},
        {"token_endpoint": None},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": "http://127.0.0.1:1/plain"},
        {"jwks_uri": "https://169.254.169.254/keys"},
        {"jwks_uri": "https://127.0.0.1:1/keys"},
        {"jwks_uri": 7},
        {"userinfo_endpoint": "ftp://example.org"},
        {"end_session_endpoint": "data:text/html,x"},
    ],
)
def test_what_a_provider_says_of_itself_is_looked_at(liar: Liar, metadata: Claims) -> None:
    liar.metadata = metadata
    with pytest.raises(Unavailable):
        look(us(liar), BACK.redirect_uri)


@pytest.mark.parametrize(
    ("fault", "key"),
    [
        ({"metadata": {"issuer": "https://id.example.org"}}, "identity.other_issuer"),
        ({"metadata": {"jwks_uri": "URL/elsewhere"}}, "identity.look_keys"),
        ({"shown": [{"kty": "of tomorrow"}]}, "identity.not_understood"),
        ({"token_status": 500}, "identity.look_token"),
        ({"token_status": 401, "token_body": '{"error": "invalid_client"}'}, "identity.we_are_refused"),
    ],
)
def test_who_tries_a_provider_is_told_which_part_does_not_work(liar: Liar, fault: Claims, key: str) -> None:
    for name, value in fault.items():
        told = {part: one.replace("URL", liar.url) for part, one in value.items()} if name == "metadata" else value
        setattr(liar, name, told)
    with pytest.raises(Unavailable) as caught:
        look(us(liar), BACK.redirect_uri)
    assert caught.value.key == key


def test_who_is_known_is_told_so_though_a_made_up_code_is_refused(liar: Liar) -> None:
    liar.token_status, liar.token_body = 400, '{"error": "invalid_grant"}'
    assert look(us(liar), BACK.redirect_uri)[1] == 1
    [(_, form)] = liar.asked
    assert form["redirect_uri"] == [BACK.redirect_uri]


def test_a_provider_that_is_not_there_is_named_with_what_went_wrong() -> None:
    nobody = Client(issuer="http://127.0.0.1:1", client_id=WE, secret="x" * 20, is_internal=True)
    with pytest.raises(Unavailable) as caught:
        look(nobody, BACK.redirect_uri)
    assert caught.value.key == "identity.look_discovery"
    assert "127.0.0.1:1/.well-known/openid-configuration" in caught.value.sentence("it")
    assert "ConnectError" in caught.value.sentence("it")


def test_a_private_network_is_open_only_where_it_was_allowed(liar: Liar) -> None:
    with pytest.raises(Unavailable):
        look(us(liar, is_internal=False), BACK.redirect_uri)


def test_nothing_is_followed_elsewhere(liar: Liar) -> None:
    liar.metadata = {"jwks_uri": f"{liar.url}/elsewhere"}
    with pytest.raises(Unavailable):
        look(us(liar), BACK.redirect_uri)


def test_a_page_for_signing_out_is_offered_where_there_is_one(liar: Liar) -> None:
    assert sign_out_address(us(liar), "http://lampione.test") is None
    identity.forget()
    liar.metadata = {"end_session_endpoint": f"{liar.url}/out?x=1"}
    address = sign_out_address(us(liar), "http://lampione.test") or ""
    asked = parse_qs(urlsplit(address).query)
    assert asked == {"x": ["1"], "client_id": [WE], "post_logout_redirect_uri": ["http://lampione.test"]}
    identity.forget()
    assert sign_out_address(us(liar, issuer="http://127.0.0.1:1"), "http://lampione.test") is None


KEYS: Final = {
    "RS256": jwk.RSAKey.generate_key(2048, {"kid": "ours"}),
    "ES256": jwk.ECKey.generate_key("P-256", {"kid": "ours"}),
}


@pytest.mark.parametrize("algorithm", sorted(KEYS))
@pytest.mark.parametrize("as_pem", [True, False])
def test_we_prove_who_we_are_with_a_key_of_our_own(liar: Liar, algorithm: str, as_pem: bool) -> None:
    key = KEYS[algorithm]
    secret = key.as_pem(private=True).decode() if as_pem else orjson.dumps(key.as_dict(private=True)).decode()
    check_key(secret)
    come_back(liar, client_auth="private_key_jwt", secret=secret)
    headers, form = liar.asked[0]
    assert "authorization" not in headers
    said = jwt.decode(form["client_assertion"][0], key, algorithms=[algorithm])
    assert (said.claims["iss"], said.claims["sub"], said.claims["aud"]) == (WE, WE, f"{liar.url}/token")
    assert said.header.get("kid") == (None if as_pem else "ours")


@pytest.mark.parametrize(
    "secret", ["a word", "{}", '{"kty": "oct", "k": "eA"}', KEYS["RS256"].as_pem(private=False).decode()]
)
def test_what_is_no_private_key_is_refused(secret: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_key(secret)
    assert refused.value.field == "secret"
