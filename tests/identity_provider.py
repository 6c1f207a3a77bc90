"""A certified OpenID provider on a real port (npm `oidc-provider`), and a browser that signs in there."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urljoin

import httpx
from joserfc import jwk
from playwright._impl._driver import compute_driver_executable

from city.settings import PROJECT
from tests.trials import any_port, eventually

SECRET: Final = "a secret with % and + and a colon: of the test"  # noqa: S105
FISCAL_NUMBER: Final = "https://attributes.eid.gov.it/fiscal_number"
SCOPES: Final = {
    "email": ["email", "email_verified"],
    "profile": ["name"],
    "groups": ["groups"],
    "spid": [FISCAL_NUMBER],
}


@dataclass
class Certified:
    """The provider: where it is, whom it knows, and what it has been told of us."""

    folder: Path
    port: int
    accounts: dict[str, dict[str, Any]] = field(default_factory=dict)
    clients: list[dict[str, Any]] = field(default_factory=list)
    keys: list[dict[str, Any]] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def know(self, login: str, **claims: Any) -> None:
        """Somebody has this account there, with these claims, from their next sign-in on."""
        self.accounts[login] = claims
        self._write()

    def rotate(self) -> None:
        """New keys, and only those."""
        key = jwk.RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, auto_kid=True)
        self.keys = [dict(key.as_dict(private=True))]
        self._write()

    def start(self) -> None:
        self._write()
        node = compute_driver_executable()[0]
        command = [node, str(PROJECT / "tests" / "identity_provider.mjs"), self._file]
        with (self.folder / "provider.log").open("wb") as log:
            self.process = subprocess.Popen(["setpriv", "--pdeathsig", "TERM", *command], stdout=log, stderr=log)
        eventually(self._answers)

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)

    @property
    def _file(self) -> str:
        return str(self.folder / "provider.json")

    def _write(self) -> None:
        told = {"port": self.port, "keys": self.keys, "clients": self.clients, "accounts": self.accounts}
        Path(self._file).write_text(json.dumps(told | {"scopes": SCOPES}), "utf-8")

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.issuer}/.well-known/openid-configuration").status_code == 200
        except httpx.HTTPError:
            return False


@contextmanager
def certified(folder: Path, clients: list[dict[str, Any]]) -> Iterator[Certified]:
    """The provider, listening."""
    folder.mkdir(exist_ok=True)
    provider = Certified(folder, any_port(), clients=clients)
    provider.rotate()
    provider.start()
    try:
        yield provider
    finally:
        provider.stop()


def client_of(client_id: str, return_address: str, **more: Any) -> dict[str, Any]:
    """What the provider is told of us."""
    return {
        "client_id": client_id,
        "client_secret": SECRET,
        "redirect_uris": [return_address],
        "post_logout_redirect_uris": ["http://lampione.test/"],
        "response_types": ["code"],
        "grant_types": ["authorization_code"],
        **more,
    }


def signs_in(address: str, login: str, home: str) -> str:
    """Walk from `address` through the provider's forms as `login`; the address of ours that it ends at."""
    with httpx.Client(timeout=20) as browser:
        answer = browser.get(address)
        for _ in range(12):
            if answer.is_redirect:
                target = urljoin(str(answer.url), answer.headers["location"])
                if target.startswith(home):
                    return target
                answer = browser.get(target)
            else:
                answer = _filled(browser, answer, login)
    raise AssertionError("the provider never sent us home")


def _filled(browser: httpx.Client, page: httpx.Response, login: str) -> httpx.Response:
    """The answer to the form of a page: to sign in, to agree, or to sign out."""
    form = re.search(r'<form[^>]* action="([^"]+)"', page.text)
    assert form is not None, page.text[-2000:]
    hidden = dict(re.findall(r'name="(\w+)" value="(\w+)"', page.text))
    return browser.post(urljoin(str(page.url), form[1]), data=hidden | {"login": login, "password": "x"})
