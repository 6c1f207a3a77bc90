"""The taxonomy, and the demo's municipalities with all that reports are judged by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import Any

from city.database import WriteSession, provincial
from city.registry import calendars, layers, publishing, taxonomy, territory
from city.registry.layers import ZoneFields
from city.registry.publishing import Publication
from city.registry.territory import FRONT_DESK, DepartmentFields, MunicipalityFields
from city.registry.working_time import CALENDAR_DAYS, Opening, Span, minutes_of
from city.reports.rules import RuleBook, RuleFields
from commands.rule_files import fields_of
from commands.seeding import templates
from commands.seeding.files import categories, features, shape, toml
from commands.seeding.people import put_people


def ensure_taxonomy() -> bool:
    """Give an empty installation the seed's taxonomy to start from: without categories nothing can be reported."""
    with provincial() as session:
        if territory.has_province(session):
            templates.ensure_templates(session)
            return False
        territory.put_province(session)
        _put_taxonomy(session)
        templates.ensure_templates(session)
    return True


def load_registry(password: str) -> tuple[int, int]:
    """Load all of the demo but its reports; how many municipalities and accounts there are."""
    with provincial() as session:
        slugs = _put_territory(session)
        _put_taxonomy(session)
        templates.ensure_templates(session)
        _put_overrides(session)
        _put_zones(session)
        _put_rules(session, slugs)
        return len(slugs), put_people(session, password)


def _put_territory(session: WriteSession) -> list[str]:
    """The province and its municipalities with departments, crews and boundaries; their slugs."""
    province = toml("province")
    territory.put_province(session, **province["province"])
    boundaries = {feature["properties"]["slug"]: shape(feature) for feature in features("boundaries.geojson")}
    slugs = []
    for given in province["municipality"]:
        municipality = territory.create_municipality(session, _municipality(given))
        territory.put_boundary(session, municipality, boundaries[given["slug"]])
        calendars.put_office_hours(session, municipality, _week(given["hours"]) if "hours" in given else None)
        slugs.append(municipality.slug)
    return slugs


def _municipality(given: Mapping[str, Any]) -> MunicipalityFields:
    return MunicipalityFields(
        name=given["name"],
        slug=given["slug"],
        istat_code=given["istat_code"],
        prefix=given["prefix"],
        languages=given["languages"],
        time_zone=given["time_zone"],
        patron_day=given["patron"]["day"],
        patron_name=given["patron"]["name"],
        email=given["email"],
        accepts_anonymous=given["anonymous_reports"],
        departments=[_department(department) for department in given["department"]],
    )


def _week(hours: Iterable[Mapping[str, str]]) -> list[Opening]:
    """The week, of hours that several days share: `1-5`, `2,4`."""
    return [
        Opening(day, minutes_of(row["opens"]), minutes_of(row["closes"]))
        for row in hours
        for days in row["days"].split(",")
        for first, _, last in [days.partition("-")]
        for day in range(int(first), int(last or first) + 1)
    ]


def _department(given: Mapping[str, Any]) -> DepartmentFields:
    return DepartmentFields(
        slug=given["slug"],
        name_it=given["name"]["it"],
        name_en=given["name"]["en"],
        email=given.get("email"),
        kind=given["kind"],
        is_fallback=given.get("fallback", False),
        crews={crew["slug"]: crew["name"] for crew in given.get("crews", [])},
    )


def _put_taxonomy(session: WriteSession) -> None:
    for position, group in enumerate(toml("taxonomy")["group"]):
        taxonomy.put_group(
            session,
            group["slug"],
            name_it=group["name"]["it"],
            name_en=group["name"]["en"],
            icon=group["icon"],
            colour=group["colour"],
            position=position,
        )
    for position, (group, category) in enumerate(categories()):
        taxonomy.put_category(
            session,
            category["slug"],
            group=group["slug"],
            name_it=category["name"]["it"],
            name_en=category["name"]["en"],
            deadline=_span(category),
            privacy=category.get("privacy", "public"),
            questions=category.get("questions", []),
            emergency_words=category.get("emergency", {}),
            position=position,
        )


def _span(given: Mapping[str, Any]) -> Span:
    return Span(given["deadline"], given.get("unit", CALENDAR_DAYS))


def _put_overrides(session: WriteSession) -> None:
    for override in toml("overrides")["override"]:
        name = override.get("name", {})
        taxonomy.put_override(
            session,
            territory.home(session, override["municipality"]).id,
            override["category"],
            name_it=name.get("it"),
            name_en=name.get("en"),
            privacy=override.get("privacy"),
            deadline=_span(override) if "deadline" in override else None,
            is_active=False if override.get("hidden") else None,
        )


def _put_zones(session: WriteSession) -> None:
    for given in toml("layers")["layer"]:
        layer = layers.put_layer(
            session,
            given["owner"],
            given["slug"],
            name_it=given["name"]["it"],
            name_en=given["name"]["en"],
            kind=given["kind"],
        )
        zones = [
            ZoneFields(
                code=feature["properties"]["code"],
                name=feature["properties"]["name"],
                shape=shape(feature),
                half_width_metres=feature["properties"].get("half_width_metres"),
            )
            for feature in features(given["file"])
        ]
        publication = Publication(publishing.SEED, date.fromisoformat(given["valid_from"]), Path(given["file"]).name)
        publishing.publish(session, layer, zones, publication)


def _put_rules(session: WriteSession, demo: Sequence[str]) -> None:
    rules = sorted(toml("rules")["rule"], key=lambda rule: str(rule["owner"]))
    for owner, owned in groupby(rules, key=lambda rule: str(rule["owner"])):
        book = RuleBook(session, owner)
        for given in owned:
            book.save(_rule(given, demo), replace=True)


def _rule(given: Mapping[str, Any], demo: Sequence[str]) -> RuleFields:
    fields = fields_of(given)
    if given["owner"] == territory.PROVINCE_SLUG and not fields.municipalities and fields.department != FRONT_DESK.slug:
        # A municipality made later beside the demo has a front desk, but not the demo's operators.
        return replace(fields, municipalities=demo)
    return fields
