"""A provider of identities that can be made to lie, on a real port."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs

import uvicorn
from fastapi import FastAPI, Request, Response
from joserfc import jwk, jwt

from tests.trials import any_port, eventually

WE: Final = "lampione"
"""The client_id that it knows."""

Claims = dict[str, Any]


def new_key(name: str) -> jwk.RSAKey:
    return jwk.RSAKey.generate_key(2048, {"kid": name, "use": "sig"})


@dataclass
class Liar:
    """A provider, and the ways in which its answers are not as they should be. A code is the nonce of its sign-in."""

    url: str = ""
    key: jwk.RSAKey = field(default_factory=lambda: new_key("first"))
    shown: list[Claims] = field(default_factory=list)
    """The keys it shows; empty: its own."""
    metadata: Claims = field(default_factory=dict)
    claims: Claims = field(default_factory=dict)
    """What is said otherwise; None: not at all."""
    sign: Callable[[Claims], str] | None = None
    userinfo: Any = None
    token_status: int = 200
    token_body: Any = None
    reads: int = 0
    """How often its keys were read."""
    asked: list[tuple[dict[str, str], dict[str, list[str]]]] = field(default_factory=list)
    """Headers and form of the calls for a token."""

    def token(self, nonce: str) -> str:
        said = {"iss": self.url, "sub": "luisa", "aud": WE, "nonce": nonce, "iat": now(), "exp": now() + 60}
        said = {name: value for name, value in (said | self.claims).items() if value is not None}
        if self.sign is not None:
            return self.sign(said)
        return jwt.encode({"alg": "RS256", "kid": self.key.kid}, said, self.key)


def now() -> int:
    return int(time.time())


def _app(liar: Liar) -> FastAPI:
    app = FastAPI()

    @app.get("/.well-known/openid-configuration")
    def metadata() -> Any:
        said = {
            "issuer": liar.url,
            "authorization_endpoint": f"{liar.url}/authorize?tenant=7",
            "token_endpoint": f"{liar.url}/token",
            "jwks_uri": f"{liar.url}/keys",
            "userinfo_endpoint": f"{liar.url}/me",
        }
        return {name: value for name, value in (said | liar.metadata).items() if value is not None}

    @app.get("/keys")
    def keys() -> Any:
        liar.reads += 1
        return {"keys": liar.shown or [liar.key.as_dict(private=False)]}

    @app.post("/token")
    async def token(request: Request) -> Any:
        form = parse_qs((await request.body()).decode())
        liar.asked.append((dict(request.headers), form))
        if liar.token_body is not None or liar.token_status != 200:
            return Response(liar.token_body or "{}", liar.token_status, media_type="application/json")
        return {"access_token": "a", "token_type": "Bearer", "id_token": liar.token(form["code"][0])}

    @app.get("/me")
    def me() -> Any:
        return liar.userinfo

    @app.get("/elsewhere")
    def elsewhere() -> Any:
        return Response(status_code=302, headers={"Location": f"{liar.url}/keys"})

    return app


@contextmanager
def lying() -> Iterator[tuple[Liar, Callable[[], None]]]:
    """The provider, listening; and how to make it honest again."""
    liar = Liar()
    port = any_port()
    server = uvicorn.Server(uvicorn.Config(_app(liar), port=port, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    eventually(lambda: server.started)
    url = f"http://127.0.0.1:{port}"

    def made_honest() -> None:
        vars(liar).update(vars(Liar(url)))

    made_honest()
    try:
        yield liar, made_honest
    finally:
        server.should_exit = True
        thread.join(10)
