"""An outside body that speaks Open311 (GeoReport v2): a request is opened there, and its status asked for.

https://wiki.open311.org/GeoReport_v2/ – answers are read with forgiveness: a list of one, or the one itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode

import orjson

from city.errors import Unavailable
from city.outside.strangers import Answer, Door, call

LONGEST_WORD: Final = 100
LONGEST_NOTES: Final = 4_000
SLACK: Final = timedelta(hours=1)
"""How much their clock may differ from ours."""


@dataclass(frozen=True, slots=True)
class Service:
    """Their service, with what they want to be told each time."""

    door: Door
    jurisdiction: str | None
    api_key: str | None

    def at(self, path: str) -> Door:
        """One of its addresses."""
        return Door(self.door.url.rstrip("/") + path, self.door.is_internal)

    def query(self, **more: str | None) -> str:
        """The query of an address."""
        said = {"jurisdiction_id": self.jurisdiction, **more}
        return "?" + urlencode({name: value for name, value in said.items() if value is not None})


class Opened(NamedTuple):
    """What they said to a new request: their number, or a token by which to ask for it; or their refusal."""

    reference: str | None = None
    token: str | None = None
    refused: int | None = None


class Seen(NamedTuple):
    """How far a request is, in their words."""

    status: str
    notes: str | None

    @property
    def is_closed(self) -> bool:
        """Whether they are through with it."""
        return self.status == "closed"


def open_request(service: Service, fields: Mapping[str, str]) -> Opened:
    """Open a request. Raises NotAllowed; Unavailable where it may be tried again."""
    said = dict(fields)
    if service.jurisdiction:
        said["jurisdiction_id"] = service.jurisdiction
    if service.api_key:
        said["api_key"] = service.api_key
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    answer = call("POST", service.at("/requests.json"), headers=headers, body=urlencode(said).encode())
    if answer.is_final:
        return Opened(refused=answer.status)
    first = _first(_good(answer))
    reference, token = _word(first.get("service_request_id")), _word(first.get("token"))
    if reference is None and token is None:
        raise Unavailable("strangers.unclear")
    return Opened(reference, token)


def find(service: Service, mark: str, since: datetime) -> str | None:
    """Their number of a request opened `since`, by the mark in its description; None where none is found, or where
    they let nobody look. Raises NotAllowed, Unavailable.
    """
    end = datetime.now(UTC) + SLACK
    period = {"start_date": _w3c(since - SLACK), "end_date": _w3c(end)}
    answer = call("GET", service.at("/requests.json"), service.query(**period))
    if answer.is_final:
        return None
    requests = _good(answer)
    for one in requests if isinstance(requests, list) else []:
        if isinstance(one, dict) and mark in str(one.get("description") or ""):
            return _word(one.get("service_request_id"))
    return None


def number_of(service: Service, token: str) -> str | None:
    """Their number, once there is one. Raises NotAllowed, Unavailable."""
    answer = call("GET", service.at(f"/tokens/{quote(token, safe='')}.json"), service.query())
    return None if answer.is_final else _word(_first(_good(answer)).get("service_request_id"))


def look(service: Service, reference: str) -> Seen | None:
    """How far it is; None where they do not know it. Raises NotAllowed, Unavailable."""
    answer = call("GET", service.at(f"/requests/{quote(reference, safe='')}.json"), service.query())
    if answer.is_final:
        return None
    said = _first(_good(answer))
    status = _word(said.get("status"))
    if status is None:
        raise Unavailable("strangers.unclear")
    return Seen(status.lower(), _text(said.get("status_notes")))


def _good(answer: Answer) -> Any:
    if not answer.is_good:
        raise Unavailable("strangers.silent", problem=str(answer.status))
    with suppress(orjson.JSONDecodeError):
        return orjson.loads(answer.body)
    raise Unavailable("strangers.unclear")


def _first(said: Any) -> dict[str, Any]:
    one = said[0] if isinstance(said, list) and said else said
    if not isinstance(one, dict):
        raise Unavailable("strangers.unclear")
    return one


def _word(value: Any) -> str | None:
    """A stranger's number or word, as one short line."""
    if not isinstance(value, str | int) or isinstance(value, bool):
        return None
    return "".join(letter for letter in str(value) if letter.isprintable()).strip()[:LONGEST_WORD] or None


def _text(value: Any) -> str | None:
    """A stranger's sentences, without anything that does not print."""
    if not isinstance(value, str):
        return None
    return "".join(letter for letter in value if letter.isprintable() or letter == "\n").strip()[:LONGEST_NOTES] or None


def _w3c(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
