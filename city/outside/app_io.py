"""App IO, the app in which the Italian administration writes to people, each known by the fiscal code.

https://api.io.pagopa.it/api/v1: first `POST /profiles` tells whether the person lets this sender write, then
`POST /messages` takes the message. Each municipality has its own key. Its local twin is a folder of `.json` files, in
which everybody may be written to but `NOBODY`.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import unquote, urlsplit

import orjson

from city.errors import Refused, Unavailable
from city.outside.strangers import Answer, Door, NotAllowed, call
from city.settings import settings

NOBODY: Final = "AAAAAA00A00A000A"
"""The documented code for tries: what is written there comes to whoever asked for the key, by mail."""
SHORTEST_SUBJECT, LONGEST_SUBJECT = 10, 120
SHORTEST_TEXT, LONGEST_TEXT = 80, 10_000
_NOT_FOUND: Final = 404


class Message(NamedTuple):
    """What somebody is told, in Markdown; `id` is ours."""

    id: str
    subject: str
    markdown: str


class AppIo(Protocol):
    """Something that takes messages away."""

    def send(self, key: str, fiscal_code: str, message: Message) -> str:
        """Hand `message` over and give its receipt. Raises Unavailable (try later); Refused (never): also where the
        person does not use the app, or has silenced the sender.
        """
        ...


class RealAppIo:
    """The real one, or one that behaves like it."""

    def __init__(self, url: str) -> None:
        self._door = Door(url.rstrip("/"), is_internal=True)

    def send(self, key: str, fiscal_code: str, message: Message) -> str:
        """Ask whether one may, then write. A message that was taken while we died is written once more: they know no
        way to say that it is the same.
        """
        profile = self._call(key, "/profiles", {"fiscal_code": fiscal_code})
        if profile.status == _NOT_FOUND or (profile.is_good and _read(profile).get("sender_allowed") is not True):
            raise Refused("app_io.not_wanted")
        self._check(profile)
        taken = self._call(
            key,
            "/messages",
            {
                "fiscal_code": fiscal_code,
                "content": {
                    "subject": message.subject,
                    "markdown": message.markdown,
                    "require_secure_channels": True,
                },
            },
        )
        self._check(taken)
        return str(_read(taken).get("id") or "")

    def _call(self, key: str, path: str, body: dict[str, Any]) -> Answer:
        headers = {"Ocp-Apim-Subscription-Key": key, "Content-Type": "application/json; charset=utf-8"}
        try:
            return call("POST", self._door, path, headers=headers, body=orjson.dumps(body))
        except NotAllowed as error:
            raise Refused("app_io.refused", problem=error.key) from error

    @staticmethod
    def _check(answer: Answer) -> None:
        if answer.is_final:
            raise Refused("app_io.refused", problem=str(answer.status))
        if not answer.is_good:
            raise Unavailable("app_io.silent", problem=str(answer.status))


class FolderAppIo:
    """The local twin: one file a message, named by our id, so that a repeat writes the same file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, key: str, fiscal_code: str, message: Message) -> str:  # noqa: ARG002  (as the protocol has it)
        """Write the file whole or not at all."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._folder / f"{message.id}.json"
        draft = path.with_suffix(".part")
        try:
            draft.write_bytes(orjson.dumps({"fiscal_code": fiscal_code, **message._asdict()}))
            draft.replace(path)
        except OSError as error:
            raise Unavailable("app_io.silent", problem=error.strerror or "OSError") from error
        return str(path)


def _read(answer: Answer) -> dict[str, Any]:
    try:
        said = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        said = None
    if not isinstance(said, dict):
        raise Unavailable("app_io.silent", problem="JSON")
    return said


@cache
def app_io() -> AppIo:
    """The way to the app that the settings name."""
    url = settings().app_io
    if urlsplit(url).scheme == "file":
        return FolderAppIo(Path(unquote(urlsplit(url).path)))
    return RealAppIo(url)
