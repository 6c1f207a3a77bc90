"""What a row of a file of old reports says: the submission it stands for."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from city.errors import InvalidInput, LampioneError
from city.registry.municipality import MunicipalityView
from city.reports.checks import LONGEST_ADDRESS
from city.reports.judging import EARLIEST, NOBODY, Contact, Submission
from commands.report_rows import Row, RowFile, value_at
from geo.place import Place

NAMESPACE: Final = UUID("b1a0c8a2-1f0b-5a36-8d0e-3b8f2f9b7f60")
"""Makes the client references of imported rows."""

DATE_FORMATS: Final = (
    "%d/%m/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%d/%m/%Y",
    "%d-%m-%Y %H:%M:%S",
    "%d-%m-%Y %H:%M",
    "%d-%m-%Y",
    "%d.%m.%Y",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d",
    "%Y-%m-%d %H:%M:%S %Z",
    "%a, %d %b %Y %H:%M:%S %z",
)

_ADDRESS: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_SECONDS: Final = re.compile(r"1\d{9}(\d{3})?(\.\d+)?")
_DAY_FIRST: Final = re.compile(r"(\d\d)([/-])(\d\d)\2(\d{4})(?: (\d\d):(\d\d)(?::(\d\d))?)?", re.ASCII)
"""What most of DATE_FORMATS write, read several times as fast."""


class Reader:
    """Makes submissions of rows."""

    def __init__(
        self, columns: Mapping[str, str], categories: Mapping[str, str], source: str, municipality: MunicipalityView
    ) -> None:
        self._columns = columns
        self._source = source
        self._map = categories
        self._municipality = municipality
        self._now = datetime.now(UTC)
        self._named = {
            name.casefold(): slug
            for slug, category in municipality.categories.items()
            if category.is_active
            for name in (slug, category.name.it, category.name.en)
        }
        self._content = json.JSONEncoder(sort_keys=True, default=str).encode
        self._hashed = hashlib.sha1(NAMESPACE.bytes + f"{municipality.slug}\n".encode(), usedforsecurity=False)

    def reference(self, row: Row) -> UUID:
        """The same for the same content in the same municipality, whichever file or order it comes in (UUID 5)."""
        hashed = self._hashed.copy()
        hashed.update(self._content(row.values).encode())
        return UUID(bytes=hashed.digest()[:16], version=5)

    def place(self, row: Row) -> Place:
        """Where it is, in nobody knows whose territory. Raises InvalidInput."""
        if row.problem is not None:
            raise InvalidInput("importing.unreadable_row", field="row", problem=row.problem)
        return _place(row, self._columns)

    def submission(self, row: Row, place: Place, reference: UUID) -> Submission:
        """The row as a submission. Raises InvalidInput."""
        return Submission(
            place=place,
            description=self._text(row, "text") or self._text(row, "title") or "",
            category=self._category(row),
            address=(self._text(row, "address") or "")[:LONGEST_ADDRESS] or None,
            contact=self._contact(row),
            client_reference=reference,
            created_at=self._created_at(row),
            source=self._source,
        )

    def _text(self, row: Row, key: str) -> str | None:
        column = self._columns.get(key)
        if column is None:
            return None
        value = value_at(row.values, column)
        if value is None or isinstance(value, dict | list):
            return None
        return str(value).replace("\0", "").strip() or None

    def _category(self, row: Row) -> str | None:
        """Our category for the row's, where it is known; else the classifier decides."""
        label = self._text(row, "category")
        if label is None:
            return None
        mapped = self._map.get(label.casefold())
        if mapped is not None:
            return mapped if mapped in self._municipality.choices else None
        return self._named.get(label.casefold())

    def _contact(self, row: Row) -> Contact:
        email, name, phone = (self._text(row, key) for key in ("email", "name", "phone"))
        # A report is not lost for a mistyped address, which nobody will write to anyway.
        usable = email if email and _ADDRESS.fullmatch(email) else None
        return Contact(usable, name, phone) if usable or name or phone else NOBODY

    def _created_at(self, row: Row) -> datetime:
        written = self._text(row, "created_at")
        if written is None:
            return self._now
        moment = read_moment(written, self._municipality.time_zone)
        if not EARLIEST <= moment <= datetime.now(UTC):
            raise InvalidInput("importing.bad_date", field="created_at", value=written)
        return moment


def places_in(file: RowFile, columns: Mapping[str, str]) -> list[Place]:
    """The places of all rows that have one."""
    places = []
    for row in file.rows():
        try:
            places.append(_place(row, columns))
        except LampioneError:
            continue
    return places


def _place(row: Row, columns: Mapping[str, str]) -> Place:
    return Place(*(_degrees(row, columns, key) for key in ("lon", "lat")))


def _degrees(row: Row, columns: Mapping[str, str], key: str) -> float:
    value = value_at(row.values, columns[key])
    if value is None or str(value).strip() == "" or isinstance(value, bool):
        raise InvalidInput("importing.no_place", field=key)
    try:
        return float(str(value).strip().replace(",", "."))
    except ValueError:
        raise InvalidInput("importing.bad_place", field=key, value=str(value)[:40]) from None


def read_moment(written: str, time_zone: ZoneInfo) -> datetime:
    """A date as people and programs write it; without a zone it is the municipality's. Raises InvalidInput."""
    moment = _parsed(written)
    if moment is None:
        raise InvalidInput("importing.bad_date", field="created_at", value=written[:40])
    return (moment if moment.tzinfo else moment.replace(tzinfo=time_zone)).astimezone(UTC)


def _parsed(written: str) -> datetime | None:
    if _SECONDS.fullmatch(written):
        seconds = float(written) / (1000 if len(written.partition(".")[0]) > 10 else 1)  # noqa: PLR2004
        return datetime.fromtimestamp(seconds, UTC)
    tidy = written.removesuffix(" UTC") + "+00:00" if written.endswith(" UTC") else written
    try:
        return datetime.fromisoformat(tidy)
    except ValueError:
        pass
    if found := _DAY_FIRST.fullmatch(written):
        day, month, year, hour, minute, second = (int(found[group] or 0) for group in (1, 3, 4, 5, 6, 7))
        try:
            return datetime(year, month, day, hour, minute, second)  # noqa: DTZ001  (the zone is added by who asked)
        except ValueError:
            return None
    for form in DATE_FORMATS:
        try:
            return datetime.strptime(written, form)  # noqa: DTZ007  (the zone is added by who asked)
        except ValueError:
            continue
    return None
