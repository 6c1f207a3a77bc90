"""Who and where, set up: the stations that write the registry, used by the command line, the seed and the API.

Each is an upsert by slug: what is there already and equal is left alone, so that loading the same twice changes
nothing and no process reads its registry anew. All want a `provincial()` session and leave the commit to its edge.
Routing rules are saved by `city.reports.rules`, people by `city.registry.staff.people`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import chain, count, permutations
from typing import Any, Final, NamedTuple, TypeVar
from zoneinfo import ZoneInfo, available_timezones

import shapely
from geoalchemy2.shape import from_shape, to_shape
from shapely.geometry.base import BaseGeometry
from sqlalchemy import func, select, text

from city.database import PROVINCE, Base, ReadSession, WriteSession
from city.errors import Conflict, InvalidInput, NotFound
from city.registry.tables import (
    Category,
    CategoryGroup,
    CategoryOverride,
    Crew,
    Department,
    Municipality,
    Zone,
    ZoneLayer,
)
from city.registry.working_time import Span
from geo.place import WGS84

Row = TypeVar("Row", bound=Base)

PROVINCE_SLUG: Final = "provincia"
LONGEST_SLUG: Final = 60
MOST_TOLERANCE_METRES: Final = 1_000
DAY: Final = timedelta(days=1)


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


class ZoneFields(NamedTuple):
    """A zone to put: an area, or the lines of a road with half its width in metres. WGS84."""

    code: str
    name: str
    shape: BaseGeometry
    half_width_metres: float | None = None


@dataclass(slots=True)
class ZoneChanges:
    """What `put_zones` did: how many zones were added, changed in place, closed, removed, or equal already."""

    added: int = 0
    changed: int = 0
    closed: int = 0
    removed: int = 0
    unchanged: int = 0


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
    return _put(session, Municipality, {"id": PROVINCE}, values)


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
        municipality = _put(session, Municipality, {"id": known.id}, values)
    for department in fields.departments:
        put_department(session, municipality.id, department)
    return municipality


def put_boundary(session: WriteSession, municipality: Municipality, shape: BaseGeometry) -> bool:
    """Give the municipality its boundary, WGS84; whether that changed anything. Raises InvalidInput for no area."""
    area = _areas(shape)
    if area is None:
        raise InvalidInput("territory.no_area", field="boundary", value=municipality.name)
    if municipality.boundary is not None and _same(municipality.boundary, area):
        return False
    municipality.boundary = from_shape(area, srid=WGS84)
    session.flush()
    return True


def put_department(session: WriteSession, municipality_id: int, fields: DepartmentFields) -> Department:
    """A department and its crews; the fallback moves here if it says so. Raises InvalidInput."""
    if fields.kind not in {"office", "outside"}:
        raise InvalidInput("territory.bad_kind", field="kind", value=fields.kind, known="office, outside")
    key = {"municipality_id": municipality_id, "slug": fields.slug}
    department = _put(session, Department, key, _of_department(fields))
    for slug, name in fields.crews.items():
        put_crew(session, department, slug, name)
    if fields.is_fallback:
        _put(session, Municipality, {"id": municipality_id}, {"fallback_department_id": department.id})
    return department


def put_crew(session: WriteSession, department: Department, slug: str, name: str) -> Crew:
    """A crew of the department."""
    key = {"municipality_id": department.municipality_id, "slug": slug}
    return _put(session, Crew, key, {"department_id": department.id, "name": name})


def put_group(
    session: WriteSession, slug: str, *, name_it: str, name_en: str, icon: str, colour: str, position: int
) -> CategoryGroup:
    """A group of categories; groups are the province's."""
    values = {"name_it": name_it, "name_en": name_en, "icon": icon, "colour": colour, "position": position}
    return _put(session, CategoryGroup, {"municipality_id": PROVINCE, "slug": slug}, values)


def put_category(
    session: WriteSession,
    slug: str,
    *,
    group: str,
    name_it: str,
    name_en: str,
    deadline: Span,
    privacy: str = "public",
    questions: Sequence[Mapping[str, Any]] = (),
    emergency_words: Mapping[str, Sequence[str]] | None = None,
    position: int = 0,
    municipality_id: int = PROVINCE,
) -> Category:
    """A category, of the province or of one municipality. Raises InvalidInput."""
    if privacy not in {"public", "coarse", "hidden"}:
        raise InvalidInput("territory.bad_kind", field="privacy", value=privacy, known="public, coarse, hidden")
    there = session.scalar(
        select(CategoryGroup.id).where(CategoryGroup.municipality_id == PROVINCE, CategoryGroup.slug == group)
    )
    if there is None:
        raise InvalidInput("territory.unknown_group", field="group", value=group)
    values = {
        "group_slug": group,
        "name_it": name_it,
        "name_en": name_en,
        "privacy": privacy,
        "deadline_amount": deadline.amount,
        "deadline_unit": deadline.unit,
        "questions": [dict(question) for question in questions],
        "emergency_words": {language: list(words) for language, words in (emergency_words or {}).items()},
        "position": position,
    }
    return _put(session, Category, {"municipality_id": municipality_id, "slug": slug}, values)


def put_override(
    session: WriteSession,
    municipality_id: int,
    slug: str,
    *,
    name_it: str | None = None,
    name_en: str | None = None,
    privacy: str | None = None,
    deadline: Span | None = None,
    is_active: bool | None = None,
) -> CategoryOverride:
    """What a municipality sees differently from the province; None: as the province has it. Raises InvalidInput."""
    there = session.scalar(select(Category.id).where(Category.municipality_id == PROVINCE, Category.slug == slug))
    if there is None:
        raise InvalidInput("territory.unknown_category", field="category", value=slug)
    values = {
        "name_it": name_it,
        "name_en": name_en,
        "privacy": privacy,
        "deadline_amount": deadline.amount if deadline else None,
        "deadline_unit": deadline.unit if deadline else None,
        "is_active": is_active,
    }
    return _put(session, CategoryOverride, {"municipality_id": municipality_id, "slug": slug}, values)


def put_layer(
    session: WriteSession,
    owner: str,
    slug: str,
    *,
    name_it: str,
    name_en: str,
    kind: str = "areas",
    tolerance_metres: float | None = None,
) -> ZoneLayer:
    """A zone layer of a municipality or of the province; None: the tolerance it has (at first none).

    Raises NotFound, InvalidInput, Conflict.
    """
    if tolerance_metres is not None and not 0 <= tolerance_metres <= MOST_TOLERANCE_METRES:
        raise InvalidInput("zones.tolerance", field="tolerance", most=MOST_TOLERANCE_METRES)
    if kind not in {"areas", "corridors"}:
        raise InvalidInput("territory.bad_kind", field="kind", value=kind, known="areas, corridors")
    key = {"municipality_id": home(session, owner).id, "slug": slug}
    known = session.scalar(select(ZoneLayer).filter_by(**key))
    if known is not None and known.kind != kind:
        raise Conflict("territory.other_kind", field="kind", layer=slug, kind=known.kind)
    values: dict[str, Any] = {"name_it": name_it, "name_en": name_en, "kind": kind}
    return _put(
        session, ZoneLayer, key, values if tolerance_metres is None else values | {"tolerance_metres": tolerance_metres}
    )


def put_zones(
    session: WriteSession,
    layer: ZoneLayer,
    zones: Iterable[ZoneFields],
    *,
    valid_from: date | None = None,
    replace: bool = True,
) -> ZoneChanges:
    """Put zones into the layer, known by their code; with `replace` those not among them go.

    A zone that was in force before `valid_from` (default: today) and now changes or goes is closed on that day, so
    that old reports keep the zones of their time; one that was not yet in force then is changed or removed in place.
    Raises InvalidInput, naming the zone, for a wrong shape or a code that comes twice.
    """
    first_day = valid_from or datetime.now(UTC).date()
    there = {
        zone.code: zone
        for zone in session.scalars(
            select(Zone).where(
                Zone.municipality_id == layer.municipality_id,
                Zone.layer_id == layer.id,
                Zone.valid_until.is_(None) | (Zone.valid_until > first_day),
            )
        )
    }
    changes = ZoneChanges()
    met: set[str] = set()
    for zone in zones:
        if zone.code in met:
            raise InvalidInput("territory.code_twice", field="code", value=zone.code)
        met.add(zone.code)
        _put_zone(session, layer, _checked(zone, layer), there.get(zone.code), first_day=first_day, changes=changes)
    if replace:
        for gone in (zone for code, zone in there.items() if code not in met):
            _end(session, gone, first_day, changes)
    session.flush()
    return changes


def _put_zone(
    session: WriteSession,
    layer: ZoneLayer,
    zone: ZoneFields,
    known: Zone | None,
    *,
    first_day: date,
    changes: ZoneChanges,
) -> None:
    if known is not None and _equal(known, zone):
        changes.unchanged += 1
        return
    values = {
        "name": zone.name,
        "shape": from_shape(zone.shape, srid=WGS84),
        "half_width_metres": zone.half_width_metres,
    }
    if known is not None and known.valid_from >= first_day:
        for name, value in values.items():
            setattr(known, name, value)
        changes.changed += 1
        return
    if known is not None:
        _end(session, known, first_day, changes)
        session.flush()
    session.add(
        Zone(municipality_id=layer.municipality_id, layer_id=layer.id, code=zone.code, valid_from=first_day, **values)
    )
    changes.added += 1


def _end(session: WriteSession, zone: Zone, first_day: date, changes: ZoneChanges) -> None:
    if zone.valid_from < first_day:
        zone.valid_until = first_day
        changes.closed += 1
    else:
        session.delete(zone)
        changes.removed += 1


def _equal(known: Zone, zone: ZoneFields) -> bool:
    return (
        known.name == zone.name
        and known.half_width_metres == zone.half_width_metres
        and known.valid_until is None
        and _same(known.shape, zone.shape)
    )


def _checked(zone: ZoneFields, layer: ZoneLayer) -> ZoneFields:
    if layer.kind == "areas":
        area = _areas(zone.shape)
        if area is None:
            raise InvalidInput("territory.no_area", field="shape", value=zone.name)
        return zone._replace(shape=area, half_width_metres=None)
    if zone.shape.geom_type not in {"LineString", "MultiLineString"} or zone.shape.is_empty:
        raise InvalidInput("territory.no_line", field="shape", value=zone.name)
    if not zone.half_width_metres or zone.half_width_metres <= 0:
        raise InvalidInput("territory.no_half_width", field="half_width_metres", value=zone.name)
    return zone


def _areas(shape: BaseGeometry) -> shapely.MultiPolygon | None:
    if shape.is_empty or shape.geom_type not in {"Polygon", "MultiPolygon"}:
        return None
    return shapely.MultiPolygon(list(shapely.get_parts(shapely.force_2d(shape))))


def _same(stored: Any, shape: BaseGeometry) -> bool:
    return bool(shapely.equals_exact(to_shape(stored), shape))


def _put(session: WriteSession, table: type[Row], key: Mapping[str, Any], values: Mapping[str, Any]) -> Row:
    """The row of `key`, with `values`; written only where it is new or differs."""
    row = session.scalar(select(table).filter_by(**key))
    if row is None:
        row = table(**key, **values)
        session.add(row)
    else:
        for name, value in values.items():
            if getattr(row, name) != value:
                setattr(row, name, value)
    session.flush()
    return row


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
