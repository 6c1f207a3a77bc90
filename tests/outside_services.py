"""Stand-ins for outside bodies' services, on a real port: an Open311 endpoint, and a receiver of webhooks."""

from __future__ import annotations

import base64
import hashlib
import hmac
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import uvicorn
from fastapi import FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool

from tests.trials import any_port, eventually

KEY = "una chiave per i webhook di prova"


@dataclass
class Services:
    """What came in, and how to answer; `url` is where it listens."""

    url: str = ""

    @property
    def host(self) -> str:
        """Its name and port."""
        return self.url.partition("://")[2]

    requests: dict[str, dict[str, str]] = field(default_factory=dict)
    """Open311 requests by their number."""
    status: dict[str, tuple[str, str]] = field(default_factory=dict)
    hooks: list[dict[str, Any]] = field(default_factory=list)
    failing: int = 0
    """So many calls more that are answered with a 503."""
    dying: int = 0
    """So many posts more that are kept, but answered with a 503: as a worker sees it that is killed just then."""
    goes_on: threading.Event = field(default_factory=threading.Event)
    """Set; while it is not, a post is kept and its answer held back."""
    refusing: bool = False
    by_token: bool = False
    looks: int = 0

    def opened(self, fields: dict[str, str]) -> list[dict[str, str]]:
        """Keep a request, and what is answered to it."""
        number = f"EXT-{len(self.requests) + 1}"
        self.requests[number] = fields
        self.status[number] = ("open", "")
        return [{"token": f"t-{number}"}] if self.by_token else [{"service_request_id": number}]

    def is_signed(self, hook: dict[str, Any]) -> bool:
        """Whether a webhook bears our signature, computed here anew from the standard's words."""
        headers = hook["headers"]
        content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + hook["body"]
        wanted = base64.b64encode(hmac.new(KEY.encode(), content, hashlib.sha256).digest()).decode()
        is_fresh = abs(time.time() - int(headers["webhook-timestamp"])) < 60
        return is_fresh and headers["webhook-signature"] == f"v1,{wanted}"


def _app(services: Services) -> FastAPI:  # noqa: C901  (a handful of small routes)
    app = FastAPI()

    def fails() -> bool:
        if services.failing:
            services.failing -= 1
            return True
        return False

    async def held() -> None:
        await run_in_threadpool(services.goes_on.wait, 30)

    @app.post("/open311/requests.json")
    async def open_request(request: Request) -> Any:
        fields = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        if fails():
            return Response(status_code=503)
        if services.refusing or fields.get("api_key") != KEY:
            return Response('[{"code": 403, "description": "no"}]', 403)
        answer = services.opened(fields)
        await held()
        if services.dying:
            services.dying -= 1
            return Response(status_code=503)
        return answer

    @app.get("/open311/requests.json")
    def list_requests(start_date: str, end_date: str) -> Any:
        assert start_date < end_date
        return [{"service_request_id": number, **fields} for number, fields in services.requests.items()]

    @app.get("/open311/tokens/{token}.json")
    def number_of(token: str) -> Any:
        return [{"token": token, "service_request_id": token.removeprefix("t-")}]

    @app.get("/open311/requests/{number}.json")
    def look(number: str) -> Any:
        services.looks += 1
        if number not in services.requests:
            return Response(status_code=404)
        status, notes = services.status[number]
        return [{"service_request_id": number, "status": status, "status_notes": notes}]

    @app.post("/hook")
    async def hook(request: Request) -> Any:
        services.hooks.append({"headers": dict(request.headers), "body": await request.body()})
        await held()
        if fails():
            return Response(status_code=503)
        return {"reference": "HOOK-7"}

    @app.get("/elsewhere")
    def elsewhere() -> Any:
        return Response(status_code=302, headers={"Location": "http://169.254.169.254/latest"})

    @app.get("/slow")
    def slow() -> Any:
        time.sleep(3)
        return {}

    return app


@contextmanager
def serving() -> Iterator[Services]:
    """The stand-ins, listening."""
    services = Services()
    services.goes_on.set()
    port = any_port()
    server = uvicorn.Server(uvicorn.Config(_app(services), port=port, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    eventually(lambda: server.started)
    services.url = f"http://127.0.0.1:{port}"
    try:
        yield services
    finally:
        server.should_exit = True
        thread.join(10)
