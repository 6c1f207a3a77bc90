"""Who and where, set up: the stations that write the registry, used by the command line, the seed and the API.

Each is an upsert by slug: what is there already and equal is left alone, so that loading the same twice changes
nothing and no process reads its registry anew. All want a `provincial()` session and leave the commit to its edge.
Zones are in `layers`, categories in `taxonomy`; routing rules are saved by `city.reports.rules`, people by
`city.registry.staff.people`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, count, permutations
from typing import Any, Final
from zoneinfo import ZoneInfo, available_timezones

from geoalchemy2.shape import from_shape
from shapely.geometry.base import BaseGeometry
from sqlalchemy import func, select, text

from city.database import PROVINCE, ReadSession, WriteSession
from city.errors import Conflict, InvalidInput, NotFound
from city.registry.tables import (
    Category,
    Crew,
    Department,
    Municipality,
)
from city.registry.upsert import put
from geo.columns import areas, same
from geo.place import WGS84

PROVINCE_SLUG: Final = "provincia"
LONGEST_SLUG: Final = 60


@dataclass(frozen=True, slots=True)
class DepartmentFields:
    """A department to put, with its crews (slug → name)."""

    slug: str
    name_it: str
    name_en: str
    email: str | None = None
    kind: str = "office"
    is_fallback: bool = False
    crews: Mapping[str, str] = field(default_factory=dict)


FRONT_DESK: Final = DepartmentFields(
    "urp", "Ufficio Relazioni con il Pubblico", "Public Relations Office", is_fallback=True
)
"""The fallback of a municipality that names no department."""


@dataclass(frozen=True, slots=True)
class MunicipalityFields:
    """A municipality to create; slug and prefix are made from the name where they are missing."""

    name: str
    slug: str | None = None
    istat_code: str | None = None
    prefix: str | None = None
    languages: Sequence[str] = ("it", "en")
    time_zone: str = "Europe/Rome"
    patron_day: str | None = None
    patron_name: str | None = None
    email: str | None = None
    accepts_anonymous: bool = True
    departments: Sequence[DepartmentFields] = (FRONT_DESK,)


def slug_of(name: str) -> str:
    """The name as it stands in addresses: `Colli al Metauro` → `colli-al-metauro`.

    Raises InvalidInput where no letter or digit is left.
    """
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", ascii_name).strip("-")[:LONGEST_SLUG].strip("-")
    if not slug:
        raise InvalidInput("territory.no_slug", field="name", value=name)
    return slug


def home(session: ReadSession, slug: str) -> Municipality:
    """The municipality, or the province, of this slug. Raises NotFound."""
    found = session.scalar(select(Municipality).where(Municipality.slug == slug))
    if found is None:
        raise NotFound("registry.unknown_municipality", value=slug)
    return found


def heirs(session: ReadSession, owner: Municipality) -> list[int]:
    """The municipalities for which counts what `owner` sets: itself; of the province, all of them."""
    if owner.id != PROVINCE:
        return [owner.id]
    return list(session.scalars(select(Municipality.id).where(Municipality.id != PROVINCE)))


def put_province(
    session: WriteSession,
    *,
    name: str = "Provincia",
    slug: str = PROVINCE_SLUG,
    languages: Sequence[str] = ("it", "en"),
    time_zone: str = "Europe/Rome",
    email: str | None = None,
) -> Municipality:
    """The root tenant, whose categories, layers and rules every municipality inherits."""
    values = {
        "name": name,
        "slug": slug,
        "kind": "province",
        "languages": list(languages),
        "time_zone": _time_zone(time_zone),
        "email": email,
        "prefix": "PROV",
    }
    return put(session, Municipality, {"id": PROVINCE}, values)


def has_province(session: ReadSession) -> bool:
    """Whether the root tenant is there and has categories: nothing can be reported without."""
    return session.scalar(select(Category.id).where(Category.municipality_id == PROVINCE).limit(1)) is not None


def create_municipality(session: WriteSession, fields: MunicipalityFields) -> Municipality:
    """Make a municipality with its departments, one of them the mandatory fallback; or bring a known one up to date.

    Known is who has the same slug. Raises InvalidInput, Conflict where ISTAT code or prefix are another's.
    """
    slug = fields.slug or slug_of(fields.name)
    if slug != slug_of(slug):
        raise InvalidInput("territory.bad_slug", field="slug", value=slug, better=slug_of(slug))
    fallback = _fallback(fields.departments)
    known = session.scalar(select(Municipality).where(Municipality.slug == slug))
    if known is not None and known.id == PROVINCE:
        raise Conflict("territory.slug_of_province", field="slug", value=slug)
    _check_istat(session, fields.istat_code, known)
    values = {
        "name": fields.name,
        "istat_code": fields.istat_code,
        "languages": list(fields.languages),
        "time_zone": _time_zone(fields.time_zone),
        "patron_day": fields.patron_day,
        "patron_name": fields.patron_name,
        "email": fields.email,
        "accepts_anonymous": fields.accepts_anonymous,
        "prefix": _prefix(session, fields, known),
    }
    if known is None:
        # Municipality and fallback point at one another; the department's number is drawn beforehand.
        department_id = session.scalar(text("SELECT nextval(pg_get_serial_sequence('department', 'id'))"))
        municipality = Municipality(slug=slug, fallback_department_id=department_id, **values)
        session.add(municipality)
        session.flush()
        session.add(
            Department(
                municipality_id=municipality.id, id=department_id, slug=fallback.slug, **_of_department(fallback)
            )
        )
        session.flush()
    else:
        municipality = put(session, Municipality, {"id": known.id}, values)
    for department in fields.departments:
        put_department(session, municipality.id, department)
    return municipality


def put_boundary(session: WriteSession, municipality: Municipality, shape: BaseGeometry) -> bool:
    """Give the municipality its boundary, WGS84; whether that changed anything. Raises InvalidInput for no area."""
    area = areas(shape)
    if area is None:
        raise InvalidInput("territory.no_area", field="boundary", value=municipality.name)
    if municipality.boundary is not None and same(municipality.boundary, area):
        return False
    municipality.boundary = from_shape(area, srid=WGS84)
    session.flush()
    return True


def put_department(session: WriteSession, municipality_id: int, fields: DepartmentFields) -> Department:
    """A department and its crews; the fallback moves here if it says so. Raises InvalidInput."""
    if fields.kind not in {"office", "outside"}:
        raise InvalidInput("territory.bad_kind", field="kind", value=fields.kind, known="office, outside")
    key = {"municipality_id": municipality_id, "slug": fields.slug}
    department = put(session, Department, key, _of_department(fields))
    for slug, name in fields.crews.items():
        put_crew(session, department, slug, name)
    if fields.is_fallback:
        put(session, Municipality, {"id": municipality_id}, {"fallback_department_id": department.id})
    return department


def put_crew(session: WriteSession, department: Department, slug: str, name: str) -> Crew:
    """A crew of the department."""
    key = {"municipality_id": department.municipality_id, "slug": slug}
    return put(session, Crew, key, {"department_id": department.id, "name": name})


def _of_department(fields: DepartmentFields) -> dict[str, Any]:
    return {"name_it": fields.name_it, "name_en": fields.name_en, "email": fields.email, "kind": fields.kind}


def _fallback(departments: Sequence[DepartmentFields]) -> DepartmentFields:
    chosen = [department for department in departments if department.is_fallback]
    if len(chosen) != 1:
        raise InvalidInput("territory.one_fallback", field="departments", count=len(chosen))
    return chosen[0]


def _time_zone(name: str) -> str:
    if name not in available_timezones():
        raise InvalidInput("territory.time_zone", field="time_zone", value=name)
    return ZoneInfo(name).key


def _check_istat(session: ReadSession, code: str | None, known: Municipality | None) -> None:
    if code is None:
        return
    other = session.scalar(select(Municipality).where(Municipality.istat_code == code))
    if other is not None and other is not known:
        raise Conflict("territory.istat_taken", field="istat_code", value=code, name=other.name)


def _prefix(session: ReadSession, fields: MunicipalityFields, known: Municipality | None) -> str:
    """The letters before the public number: those asked for, those it has, or the first free ones of its name."""
    if fields.prefix is None and known is not None:
        return known.prefix
    taken = set(
        session.scalars(select(func.upper(Municipality.prefix)).where(Municipality.id != (known.id if known else -1)))
    )
    if fields.prefix is not None:
        wanted = fields.prefix.upper()
        if not re.fullmatch(r"[A-Z][A-Z0-9]{1,7}", wanted):
            raise InvalidInput("territory.bad_prefix", field="prefix", value=fields.prefix)
        if wanted in taken:
            raise Conflict("territory.prefix_taken", field="prefix", value=wanted)
        return wanted
    return next(prefix for prefix in _prefixes(fields.name) if prefix not in taken)


def _prefixes(name: str) -> Iterable[str]:
    """Padova → PDV, PAD, PDO, …, PDV2, PDV3, …"""
    letters = re.sub(r"[^A-Z]", "", slug_of(name).upper()) or "C"
    letters = letters.ljust(3, "X")
    consonants = letters[0] + re.sub(r"[AEIOU]", "", letters[1:])
    short = [consonants[:3]] if len(consonants) >= 3 else []  # noqa: PLR2004  (three letters are a prefix)
    rest = (letters[0] + one + other for one, other in permutations(letters[1:], 2))
    return chain(short, [letters[:3]], rest, (f"{letters[:3]}{number}" for number in count(2)))
