"""An outside geocoder, asked only where our own register finds nothing; its local twin finds nothing either.

`LAMPIONE_GEOCODER_URL` names a Nominatim (`https://host/search`) or a Photon (`https://host/api`) search. Without it
nothing ever leaves the machine. What was typed goes there, and nothing else.

A hanging geocoder must not cost us anything: it is asked outside any transaction, by few threads at once, has little
time in all, and after a failure is left alone for a while. Its trouble is never the citizen's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import urlsplit

import httpx
import orjson

from city.errors import Unavailable
from city.settings import settings
from geo.cells import Bounds
from geo.place import Place

LONGEST_WAIT_SECONDS: Final = 3.0
"""In all, however slowly the answer drips; the setting for outside services may make it shorter."""
LARGEST_ANSWER: Final = 1 << 20
AT_ONCE: Final = 2
"""Threads that may wait for it at the same time; the others are answered without it."""
REST_SECONDS: Final = 30.0
"""After a failure it is not asked for so long."""
LONGEST_LABEL: Final = 200


class OutsideAddress(NamedTuple):
    """What an outside geocoder says."""

    label: str
    place: Place
    street: str | None
    number: str | None
    postcode: str | None


class AddressFinder(Protocol):
    """Something that may know addresses we do not."""

    def find(self, query: str, bounds: Bounds, limit: int, language: str) -> list[OutsideAddress]:
        """What `query` may be inside `bounds`, the likeliest first. Raises Unavailable."""
        ...


class NoFinder:
    """The local twin: our own register is asked already, and there is nobody else."""

    def find(self, query: str, bounds: Bounds, limit: int, language: str) -> list[OutsideAddress]:  # noqa: ARG002  (the protocol's)
        """Nothing."""
        return []


class HttpFinder:
    """A geocoder that speaks like Nominatim or Photon."""

    def __init__(self, url: str, timeout_seconds: float) -> None:
        self._url = url
        self._is_photon = urlsplit(url).path.rstrip("/").endswith("/api")
        self._seconds = min(timeout_seconds, LONGEST_WAIT_SECONDS)
        self._client = httpx.Client(
            timeout=httpx.Timeout(self._seconds), headers={"User-Agent": "Lampione"}, follow_redirects=False
        )
        self._places = threading.BoundedSemaphore(AT_ONCE)
        self._rests_until = 0.0

    def find(self, query: str, bounds: Bounds, limit: int, language: str) -> list[OutsideAddress]:
        """Ask, unless it is resting or others are waiting already."""
        if time.monotonic() < self._rests_until or not self._places.acquire(blocking=False):
            raise Unavailable("addresses.finder_resting")
        try:
            return _read(self._asked(self._parameters(query, bounds, limit, language)))[:limit]
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, OSError) as error:
            self._rests_until = time.monotonic() + REST_SECONDS
            raise Unavailable("addresses.finder_silent", problem=type(error).__name__) from None
        finally:
            self._places.release()

    def _parameters(self, query: str, bounds: Bounds, limit: int, language: str) -> dict[str, str]:
        box = ",".join(f"{side:.5f}" for side in bounds)
        if self._is_photon:
            return {"q": query, "limit": str(limit), "bbox": box, "lang": "en" if language == "en" else "default"}
        return {
            "q": query,
            "limit": str(limit),
            "format": "jsonv2",
            "addressdetails": "1",
            "viewbox": box,
            "bounded": "1",
            "accept-language": language,
        }

    def _asked(self, parameters: Mapping[str, str]) -> Any:
        """The JSON of the answer. Raises httpx.HTTPError, ValueError."""
        deadline = time.monotonic() + self._seconds
        data = b""
        with self._client.stream("GET", self._url, params=parameters) as answer:
            answer.raise_for_status()
            for piece in answer.iter_bytes():
                data += piece
                if time.monotonic() > deadline:
                    raise httpx.ReadTimeout("too slow in all")
                if len(data) > LARGEST_ANSWER:
                    raise ValueError("too long an answer")
        return orjson.loads(data)


def _read(answer: Any) -> list[OutsideAddress]:
    """Nominatim's list or Photon's collection; what is not understood is left out. Raises ValueError for neither."""
    if isinstance(answer, list):
        found = [_of_nominatim(item) for item in answer]
    elif isinstance(answer, dict) and isinstance(answer.get("features"), list):
        found = [_of_photon(item) for item in answer["features"]]
    else:
        raise ValueError("neither a list nor a collection")  # noqa: TRY004  (of a stranger's answer, not of a caller's)
    return [address for address in found if address is not None]


def _of_nominatim(item: Any) -> OutsideAddress | None:
    with suppress(KeyError, TypeError, ValueError, AttributeError):
        parts = item.get("address") or {}
        return _made(
            item["display_name"],
            item["lon"],
            item["lat"],
            parts.get("road"),
            parts.get("house_number"),
            parts.get("postcode"),
        )
    return None


def _of_photon(item: Any) -> OutsideAddress | None:
    with suppress(KeyError, TypeError, ValueError, AttributeError):
        said = item["properties"]
        lon, lat = item["geometry"]["coordinates"][:2]
        street, number = said.get("street") or said.get("name"), said.get("housenumber")
        label = ", ".join(str(part) for part in (f"{street or ''} {number or ''}".strip(), said.get("city")) if part)
        return _made(label, lon, lat, street, number, said.get("postcode"))
    return None


def _made(label: Any, lon: Any, lat: Any, *parts: Any) -> OutsideAddress | None:
    place = Place(float(lon), float(lat))
    said = [_line(part) for part in (label, *parts)]
    if not said[0] or not (abs(place.lon) <= 180 and abs(place.lat) <= 90):  # noqa: PLR2004
        return None
    return OutsideAddress(said[0], place, *said[1:])


def _line(value: Any) -> str | None:
    """A stranger's word as one short line without anything that does not print."""
    if not isinstance(value, str | int):
        return None
    return "".join(letter for letter in str(value) if letter.isprintable()).strip()[:LONGEST_LABEL] or None


@cache
def finder() -> AddressFinder:
    """The geocoder that the settings name."""
    url = settings().geocoder_url
    return HttpFinder(url, settings().slow_outside_seconds) if url else NoFinder()
