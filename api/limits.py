"""How much we read of a request. What is larger is refused with a problem, at once where its size is announced."""

from __future__ import annotations

from typing import Final

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import problems
from city.texts import text

LARGEST_JSON: Final = 256 * 1024
UPLOAD_PIECE: Final = "application/offset+octet-stream"
"""The media type of a piece of a photo, by the tus protocol."""
LARGEST_UPLOAD: Final = 130 * 1024 * 1024
"""Six photos of 20 MB, and the words with them."""


class BodyLimit:
    """Reads at most `LARGEST_UPLOAD` bytes of a form or a photo and `LARGEST_JSON` of anything else."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        is_large = headers.get("content-type", "").strip().lower().startswith(("multipart/form-data", UPLOAD_PIECE))
        most = LARGEST_UPLOAD if is_large else LARGEST_JSON
        announced = headers.get("content-length", "")
        if announced.isascii() and announced.isdigit() and int(announced[:20]) > most:
            request = Request(scope)
            detail = text("problem.too_large_detail", language=problems.language_of(request))
            await problems.problem(request, 413, detail)(scope, receive, send)
            return
        read = 0

        async def receiving() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > most:
                raise HTTPException(413)
            return message

        await self.app(scope, receiving, send)
