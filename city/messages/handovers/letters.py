"""Letters of hand-overs: to the outside body that shall do something, and to the office when it comes back."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from sqlalchemy import select

from city.database import ReadSession, WriteSession
from city.errors import NotFound
from city.messages.letter import Attachment, Letter, quoted
from city.messages.posting import About, Kind
from city.messages.recipients import Recipient, office, readers
from city.messages.tables import Delivery
from city.registry.channels.outside_bodies import body_of
from city.registry.municipality import MunicipalityView
from city.registry.tables import Department
from city.reports import photos
from city.reports.handovers.links import link_address, link_token
from city.reports.handovers.tables import ACTIVE, Handover
from city.reports.tables import Photo, Report, Reporter, TimelineEntry
from city.settings import settings
from city.texts import text

NAME: Final = "handover"


def about(handover: Handover) -> dict[str, object]:
    """What the letter to them is about: another link is another letter."""
    return {
        "report_id": str(handover.report_id),
        "handover_id": str(handover.id),
        "link": handover.link_serial,
    }


def _handover(session: ReadSession, municipality: MunicipalityView, said: About) -> Handover | None:
    return session.get(Handover, (municipality.id, UUID(said["handover_id"])))


def _to_body(session: WriteSession, municipality: MunicipalityView, said: About) -> list[Recipient]:
    handover = _handover(session, municipality, said)
    if handover is None or handover.body_owner_id is None or handover.body_id is None:
        return []
    return [Recipient(body_of(session, handover.body_owner_id, handover.body_id).address, handover.language)]


def _request(session: WriteSession, municipality: MunicipalityView, delivery: Delivery) -> Letter | None:
    handover = _handover(session, municipality, delivery.about)
    if handover is None or handover.state not in ACTIVE or handover.link_serial != delivery.about["link"]:
        return None
    if handover.link_hash is None or handover.link_expires_at is None:
        return None
    report = session.get_one(Report, (municipality.id, handover.report_id))
    language = delivery.language
    category = municipality.category_ids[report.category_id].name(language)
    department = municipality.by_id[report.department_id].name(language)
    values = {
        "municipality": municipality.name,
        "number": report.number,
        "category": category,
        "department": department,
        "until": municipality.local(handover.link_expires_at).strftime("%d/%m/%Y"),
    }
    office_email = session.scalar(
        select(Department.email).where(
            Department.municipality_id == municipality.id, Department.id == report.department_id
        )
    )
    return Letter(
        subject=text("handover.mail.subject", language=language, **values),
        heading=text("handover.mail.heading", language=language, **values),
        happened=[text("handover.mail.please", language=language, **values), handover.words],
        next_step=text("handover.mail.next", language=language, **values),
        facts=_facts(session, municipality, report, handover, language),
        link=link_address(link_token(handover.id, handover.link_serial)),
        footer=text("handover.mail.footer", language=language, **values),
        button=text("handover.mail.button", language=language),
        attachments=_pictures(session, report),
        reply_to=office_email or "",
    )


def _facts(
    session: ReadSession,
    municipality: MunicipalityView,
    report: Report,
    handover: Handover,
    language: str,
) -> list[tuple[str, str]]:
    category = municipality.category_ids[report.category_id].name(language)
    root = settings().public_url.rstrip("/")
    said = [
        ("mail.number", report.number),
        ("mail.category", category),
        ("mail.place", report.address or ""),
        ("handover.mail.coordinates", f"{report.lat:.6f}, {report.lon:.6f}"),
        ("handover.mail.map", f"{root}/#17/{report.lat:.6f}/{report.lon:.6f}"),
    ]
    if handover.respond_by is not None:
        said.append(("handover.mail.by", municipality.local(handover.respond_by).strftime("%d/%m/%Y")))
    if handover.shares_contact:
        reporter = session.get(Reporter, (municipality.id, report.id))
        known = (reporter.name, reporter.phone, reporter.email) if reporter else ()
        said.append(("handover.mail.reporter", ", ".join(part for part in known if part)))
    return [(text(key, language=language), value) for key, value in said if value]


def _pictures(session: ReadSession, report: Report) -> list[Attachment]:
    """The clean copies of the report's photos."""
    found = session.scalars(
        select(Photo.id)
        .where(Photo.municipality_id == report.municipality_id, Photo.report_id == report.id, Photo.state == "ready")
        .order_by(Photo.position)
        .limit(photos.MOST_PHOTOS)
    )
    pictures = []
    for position, photo_id in enumerate(found, start=1):
        try:
            content = photos.picture(report.municipality_id, photo_id, "medium")
        except NotFound:
            continue
        pictures.append(Attachment(f"{report.number}-{position}.jpg", "image/jpeg", content))
    return pictures


def _to_office(session: WriteSession, municipality: MunicipalityView, said: About) -> list[Recipient]:
    report = session.get(Report, (municipality.id, UUID(said["report_id"])))
    return office(session, municipality, report) if report else []


def _to_office_and_sender(session: WriteSession, municipality: MunicipalityView, said: About) -> list[Recipient]:
    """The office; where it did not arrive, also whoever handed it over."""
    to, handover = _to_office(session, municipality, said), _handover(session, municipality, said)
    if handover is None or said["why"] != "failed":
        return to
    report = session.get_one(Report, (municipality.id, handover.report_id))
    known = {one.address.lower() for one in to}
    sender = readers(session, municipality, [handover.person_id], report)
    return [*to, *(one for one in sender if one.address.lower() not in known)]


def _news(session: WriteSession, municipality: MunicipalityView, delivery: Delivery) -> Letter | None:
    handover = _handover(session, municipality, delivery.about)
    if handover is None:
        return None
    why = delivery.about["why"]
    if why == "late" and handover.state not in ACTIVE:
        return None
    report = session.get_one(Report, (municipality.id, handover.report_id))
    language = delivery.language
    body = handover.name_en if language == "en" else handover.name_it
    category = municipality.category_ids[report.category_id].name(language)
    values = {"number": report.number, "body": body, "category": category, "municipality": municipality.name}
    happened = [text(f"handover.back.{why}", language=language, **values)]
    words = session.scalar(
        select(TimelineEntry.note)
        .where(
            TimelineEntry.municipality_id == municipality.id,
            TimelineEntry.report_id == report.id,
            TimelineEntry.details["handover"].astext == str(handover.id),
            TimelineEntry.actor.in_(("contractor", "outside")),
            TimelineEntry.note.is_not(None),
        )
        .order_by(TimelineEntry.id.desc())
        .limit(1)
    )
    if words:
        happened.append(quoted(words, language))
    facts = [
        (text("mail.number", language=language), report.number),
        (text("mail.category", language=language), category),
        (text("mail.state", language=language), text(f"state.{report.state}", language=language)),
    ]
    if report.address:
        facts.insert(2, (text("mail.place", language=language), report.address))
    return Letter(
        subject=text("handover.back.subject", language=language, **values),
        heading=text("handover.back.heading", language=language, **values),
        happened=happened,
        next_step=text(f"handover.back.next_{why}", language=language, **values),
        facts=facts,
        footer=text("handover.back.footer", language=language, **values),
    )


def _to_mail_body(session: WriteSession, municipality: MunicipalityView, said: About) -> list[Recipient]:
    handover = _handover(session, municipality, said)
    return _to_body(session, municipality, said) if handover is not None and handover.channel == "mail" else []


def _called_back(session: WriteSession, municipality: MunicipalityView, delivery: Delivery) -> Letter | None:
    handover = _handover(session, municipality, delivery.about)
    if handover is None:
        return None
    report = session.get_one(Report, (municipality.id, handover.report_id))
    return _over(municipality, report, delivery.language, {"number": report.number, "from": municipality.name})


def _lent_called_back(session: WriteSession, municipality: MunicipalityView, delivery: Delivery) -> Letter | None:
    report = session.get(Report, (municipality.id, delivery.report_id))
    if report is None or not report.is_open:
        return None
    about = delivery.about
    return _over(municipality, report, delivery.language, {"number": about["number"], "from": about["municipality"]})


def _over(municipality: MunicipalityView, report: Report, language: str, values: dict[str, str]) -> Letter:
    category = municipality.category_ids[report.category_id].name(language)
    facts = [
        (text("mail.number", language=language), report.number),
        (text("mail.category", language=language), category),
    ]
    if report.address:
        facts.append((text("mail.place", language=language), report.address))
    return Letter(
        subject=text("handover.over.subject", language=language, number=values["number"]),
        heading=text("handover.over.subject", language=language, number=values["number"]),
        happened=[text("handover.over.said", language=language, number=values["number"], name=values["from"])],
        facts=facts,
        footer=text("handover.over.footer", language=language, name=values["from"]),
    )


OUTSIDE: Final = Kind(_to_body, _request)
BACK: Final = Kind(_to_office_and_sender, _news)
CALLED_BACK: Final = Kind(_to_mail_body, _called_back)
LENT_CALLED_BACK: Final = Kind(_to_office, _lent_called_back)
