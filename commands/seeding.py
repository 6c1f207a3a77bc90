"""Load what `seed/` holds, through the same stations as a citizen, an office and an administrator.

Loading again changes nothing: what is there is left alone, and a demo that is complete is known by its reports.
History is loaded with its dates, and nobody is told of it.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid5

import orjson
import shapely
from shapely.geometry.base import BaseGeometry
from sqlalchemy import func, select, update

from city.database import ReadSession, WriteSession, provincial, writing
from city.registry import calendars, people, publishing, roles, territory, view
from city.registry.publishing import Publication
from city.registry.rights import Narrowing, Right, Staff
from city.registry.roles import RoleFields
from city.registry.tables import Person
from city.registry.territory import FRONT_DESK, DepartmentFields, MunicipalityFields, ZoneFields
from city.registry.view import MunicipalityView
from city.registry.working_time import CALENDAR_DAYS, Opening, Span, minutes_of
from city.reports import handling, trained
from city.reports.changing import Desk, locked
from city.reports.classification import FORMAT, Classifier, UnusableModel
from city.reports.intake import receive
from city.reports.judging import Contact, Submission
from city.reports.lifecycle import State
from city.reports.rules import RuleBook, RuleFields
from city.reports.tables import ClientRequest, Report
from city.reports.training import REVISION, read_training_set, train
from city.settings import PROJECT, settings
from commands import reply_seeding
from commands.rule_files import fields_of
from geo.place import Place

SEED: Final = PROJECT / "seed"
NAMESPACE: Final = UUID("7d0c2f4e-6a43-5d0e-9b53-0b7f5f0a5c11")
"""Makes the client references of the demo's reports."""

LONGEST_HANDLING: Final = timedelta(days=25)

Progress = Callable[[str, float], None]
"""Hears the key of what is being done (in the catalogue) and how much of it, from 0 to 1."""

PATHS: Final[dict[str, tuple[State, ...]]] = {
    "received": (),
    "assigned": (),
    "in_progress": (State.IN_PROGRESS,),
    "waiting": (State.IN_PROGRESS, State.WAITING),
    "resolved": (State.IN_PROGRESS, State.RESOLVED),
    "closed": (State.IN_PROGRESS, State.RESOLVED, State.CLOSED),
    "rejected": (State.REJECTED,),
}
"""The steps by which a report of the seed, once on the right desk, reaches its outcome."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the demo holds, and whether this run loaded it."""

    municipalities: int
    reports: int
    people: int
    is_new: bool


def ensure_classifier(progress: Progress) -> bool:
    """Train the classifier on the seed's phrases if it is missing or older than them; whether it was.

    One that was trained since on staff's corrections stays until the phrases or its form change.
    """
    if _stamp().is_file() and _stamp().read_text("utf-8") == _training_stamp() and _is_usable(settings().classifier):
        return False
    progress("seeding.training", 0.0)
    made = train(
        read_training_set(SEED / "training"),
        progress=lambda share: progress("seeding.training", share),
        groups=groups_of_categories(),
    )
    keep_classifier(made)
    return True


def keep_classifier(made: Classifier) -> None:
    """Put the classifier where every process finds it, and note which phrases it has learned."""
    settings().classifier.parent.mkdir(parents=True, exist_ok=True)
    made.save(settings().classifier)
    _stamp().write_text(_training_stamp(), "utf-8")
    trained.forget()


def _stamp() -> Path:
    return settings().classifier.with_suffix(".seed")


def groups_of_categories() -> dict[str, str]:
    """The seed's categories and the group of each."""
    return {category["slug"]: group["slug"] for group, category in _categories()}


def _training_stamp() -> str:
    digest = hashlib.sha256(f"{FORMAT} {REVISION}".encode())
    for path in [SEED / "taxonomy.toml", *sorted((SEED / "training").glob("*.tsv"))]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _is_usable(path: Path) -> bool:
    try:
        Classifier.load(path)
    except (OSError, UnusableModel):
        return False
    return True


def ensure_taxonomy() -> bool:
    """Give an empty installation the seed's taxonomy to start from: without categories nothing can be reported."""
    with provincial() as session:
        if territory.has_province(session):
            reply_seeding.ensure_templates(session)
            return False
        territory.put_province(session)
        _put_taxonomy(session)
        reply_seeding.ensure_templates(session)
    return True


def load_demo(progress: Progress, *, password: str) -> Loaded:
    """Load the demo province; a second time nothing changes, but for `password`, which holds for every demo account."""
    lines = _reports()
    if _is_complete(lines):
        accounts = _renew_password(password)
        return Loaded(len(_toml("province")["municipality"]), len(lines), accounts, is_new=False)
    progress("seeding.registry", 0.0)
    municipalities, accounts = load_registry(password)
    progress("seeding.registry", 1.0)
    _put_reports(lines, progress)
    return Loaded(municipalities, len(lines), accounts, is_new=True)


def load_registry(password: str) -> tuple[int, int]:
    """Load all of the demo but its reports; how many municipalities and accounts there are."""
    with provincial() as session:
        slugs = _put_territory(session)
        _put_taxonomy(session)
        reply_seeding.ensure_templates(session)
        _put_overrides(session)
        _put_zones(session)
        _put_rules(session, slugs)
        return len(slugs), _put_people(session, password)


def _toml(name: str) -> dict[str, Any]:
    return tomllib.loads((SEED / f"{name}.toml").read_text("utf-8"))


def _features(path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = orjson.loads((SEED / path).read_bytes())["features"]
    return found


def _shape(feature: Mapping[str, Any]) -> BaseGeometry:
    shape: BaseGeometry = shapely.from_geojson(orjson.dumps(feature["geometry"]).decode())
    return shape


# --- the registry ----------------------------------------------------------------------------------------------------


def _put_territory(session: WriteSession) -> list[str]:
    """The province and its municipalities with departments, crews and boundaries; their slugs."""
    province = _toml("province")
    territory.put_province(session, **province["province"])
    boundaries = {feature["properties"]["slug"]: _shape(feature) for feature in _features("boundaries.geojson")}
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


def _categories() -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Every category of the taxonomy with its group."""
    for group in _toml("taxonomy")["group"]:
        for category in group["category"]:
            yield group, category


def _put_taxonomy(session: WriteSession) -> None:
    for position, group in enumerate(_toml("taxonomy")["group"]):
        territory.put_group(
            session,
            group["slug"],
            name_it=group["name"]["it"],
            name_en=group["name"]["en"],
            icon=group["icon"],
            colour=group["colour"],
            position=position,
        )
    for position, (group, category) in enumerate(_categories()):
        territory.put_category(
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
    for override in _toml("overrides")["override"]:
        name = override.get("name", {})
        territory.put_override(
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
    for given in _toml("layers")["layer"]:
        layer = territory.put_layer(
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
                shape=_shape(feature),
                half_width_metres=feature["properties"].get("half_width_metres"),
            )
            for feature in _features(given["file"])
        ]
        publication = Publication(publishing.SEED, date.fromisoformat(given["valid_from"]), Path(given["file"]).name)
        publishing.publish(session, layer, zones, publication)


def _put_rules(session: WriteSession, demo: Sequence[str]) -> None:
    rules = sorted(_toml("rules")["rule"], key=lambda rule: str(rule["owner"]))
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


# --- people ----------------------------------------------------------------------------------------------------------


def _put_people(session: WriteSession, password: str) -> int:
    hashed = people.hash_password(password)
    for role in _toml("people")["role"]:
        home = territory.home(session, role["municipality"])
        rights = frozenset(map(Right, role["rights"]))
        roles.put(session, None, home.id, RoleFields(role["slug"], role["name"]["it"], role["name"]["en"], rights))
    given = _toml("people")["person"]
    for person in given:
        people.appoint(
            session,
            municipality=person.get("municipality"),
            email=person["email"],
            name=person["name"],
            role=person["role"],
            password_hash=hashed,
            department=person.get("department"),
            crew=person.get("crew"),
            within=Narrowing(frozenset(person.get("groups", ())), zones=frozenset(person.get("zones", ()))),
        )
    return len(given)


def _renew_password(password: str) -> int:
    """Let `password` open every demo account, if it does not yet; how many there are."""
    emails = [person["email"].lower() for person in _toml("people")["person"]]
    ours = func.lower(Person.email).in_(emails)
    with provincial() as session:
        hashes = list(session.scalars(select(Person.password_hash).where(ours)))
        if len(set(hashes)) != 1 or not people.is_right(password, hashes[0]):
            session.execute(update(Person).where(ours).values(password_hash=people.hash_password(password)))
    return len(hashes)


@dataclass(frozen=True, slots=True)
class _Office:
    """The people of one municipality who can work on reports at a desk, clerks first."""

    staff: Sequence[Staff] = field(default_factory=list)

    def answering(self, report: Report, municipality: MunicipalityView) -> Staff:
        """Somebody of the report's department, else of the front desk, else the administrator."""
        able = [staff for staff in self.staff if staff.may(Right.DESK, report, municipality)]
        own = [staff for staff in able if any(post.department_id == report.department_id for post in staff.posts)]
        return (own or able)[0]


def _office(session: ReadSession, municipality_id: int) -> _Office:
    order = {"clerk": 0, "head": 1, "municipality_admin": 2}
    persons = session.scalars(select(Person).where(Person.municipality_id == municipality_id).order_by(Person.id))
    staff = [one for one in people.staff_all(session, persons.all()) if any(post.role in order for post in one.posts)]
    return _Office(sorted(staff, key=lambda one: min(order.get(post.role, 9) for post in one.posts)))


# --- reports ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Told:
    """A line of `reports.jsonl`, and the reference made of it."""

    reference: UUID
    given: Mapping[str, Any]

    @property
    def turn(self) -> int:
        """A number that stays with the line: chooses among sentences, crews and durations."""
        return self.reference.int % 997


def _reports() -> list[_Told]:
    """The reports, the oldest first."""
    lines = (SEED / "reports.jsonl").read_bytes().splitlines()
    told = [_Told(uuid5(NAMESPACE, line.decode()), orjson.loads(line)) for line in lines if line.strip()]
    return sorted(told, key=lambda one: -float(one.given["age_days"]))


def _is_complete(lines: Sequence[_Told]) -> bool:
    with provincial() as session:
        found = session.scalar(
            select(func.count())
            .select_from(ClientRequest)
            .where(ClientRequest.reference.in_([told.reference for told in lines]))
        )
    return found == len(lines)


def _put_reports(lines: Sequence[_Told], progress: Progress) -> None:
    registry = view.load()
    now = datetime.now(UTC)
    done = 0
    by_municipality = sorted(lines, key=lambda told: str(told.given["municipality"]))
    for slug, told_here in groupby(by_municipality, key=lambda told: str(told.given["municipality"])):
        municipality = registry.municipality(slug)
        with writing(municipality.id) as session:
            office = _office(session, municipality.id)
            for told in told_here:
                _put_report(session, told, municipality, office, now)
                done += 1
                progress("seeding.reports", done / len(lines))


def _put_report(
    session: WriteSession, told: _Told, municipality: MunicipalityView, office: _Office, now: datetime
) -> None:
    """Take one report in and lead it to its outcome, each step at its time."""
    given, reporter = told.given, told.given["reporter"] or {}
    created_at = now - timedelta(days=float(given["age_days"]))
    received = receive(
        session,
        Submission(
            place=Place(given["lon"], given["lat"]),
            description=given["description"],
            category=given["category"],
            address=given["address"],
            contact=Contact(email=reporter.get("email")),
            client_reference=told.reference,
            created_at=created_at,
            source="web",
            language=reporter.get("language"),
        ),
    )
    if received.is_repeat:
        return
    report = locked(session, municipality.id, received.report_id)
    steps = _Steps(session, told, municipality, office, report)
    moments = _moments(told, created_at, now)
    try:
        if given["outcome"] not in {"received", "rejected"}:
            session.happened_at = next(moments)
            steps.sort_out()
        for state in PATHS[given["outcome"]]:
            session.happened_at = next(moments)
            steps.go(state)
        report.updated_at = session.happened_at or created_at
        session.flush()
    finally:
        session.happened_at = None


def _moments(told: _Told, created_at: datetime, now: datetime) -> Iterator[datetime]:
    """When the steps happened: the first within hours, the rest evenly over some days; never in the future."""
    whole = min(LONGEST_HANDLING, now - created_at) * (0.4 + 0.5 * (told.turn % 100) / 100)
    for share in (0.05, 0.35, 0.7, 1.0):
        yield created_at + whole * share


@dataclass(frozen=True, slots=True)
class _Steps:
    """Leads one report along, as its office would."""

    session: WriteSession
    told: _Told
    municipality: MunicipalityView
    office: _Office
    report: Report

    @property
    def desk(self) -> Desk:
        return Desk(self.session, self.municipality, self.office.answering(self.report, self.municipality))

    def sort_out(self) -> None:
        """Correct what citizen or classifier got wrong, and give the work to a crew."""
        right = self.told.given["expected"]
        current = self.municipality.category_ids[self.report.category_id].slug
        if right != current and right in self.municipality.choices:
            handling.categorise(self.desk, self.report.id, self.report.version, right)
        elif self.report.state == State.TRIAGE:
            handling.move(self.desk, self.report.id, self.report.version, State.ASSIGNED, reason=None)
        crews = [
            crew.slug for crew in self.municipality.crews.values() if crew.department_id == self.report.department_id
        ]
        if crews and self.report.crew_id is None and PATHS[self.told.given["outcome"]]:
            crew = crews[self.told.turn % len(crews)]
            handling.give_to_crew(self.desk, self.report.id, self.report.version, crew)

    def go(self, state: State) -> None:
        """One move, with the sentence an office would write."""
        handling.move(self.desk, self.report.id, self.report.version, state, reason=self._reason(state))

    def _reason(self, state: State) -> str | None:
        by_group = _toml("outcomes").get(state.value)
        if by_group is None:
            return None
        sentences: list[str] = by_group.get(self.report.group_slug, by_group["any"])[self.report.language]
        return sentences[self.told.turn % len(sentences)]
