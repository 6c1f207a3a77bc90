"""Letters to channels of the staff: what has happened to which reports, in a few lines for a chat or a pager.

A chat is read by many and kept elsewhere: nothing of who reported goes there, none of what anybody has written (an
address only as the register of streets has it), and of reports that are not for everybody's eyes not even the place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select

from city.database import ReadSession, WriteSession
from city.errors import Refused, Unavailable
from city.messages.letter import Letter
from city.messages.recipients import Recipient
from city.messages.tables import Delivery
from city.outside import herald
from city.registry.channels import allowed_hosts, staff_channels
from city.registry.channels.tables import StaffChannel
from city.registry.municipality import MunicipalityView
from city.reports.tables import Report, TimelineEntry
from city.settings import settings
from city.texts import text

About = Mapping[str, Any]

CHANNEL: Final = "staff"
REGISTER: Final = "register"
MOST_LISTED: Final = 15
MOST_ATTEMPTS: Final = 12
"""With the waits between them, somewhat more than an hour: later a chat need not be told any more."""


def by_staff_channel(session: WriteSession, municipality: MunicipalityView, delivery: Delivery, letter: Letter) -> str:
    """Bring a letter to a chat. Raises Refused, Unavailable."""
    channel = session.get(StaffChannel, (municipality.id, int(delivery.address)))
    if channel is None:
        raise Refused("staff_channels.gone")
    allowed = [one.host for one in allowed_hosts.listed(session)]
    body = "\n".join([*letter.happened, *filter(None, [letter.link])])
    try:
        receipt = herald.send(staff_channels.address_of(channel), letter.subject, body, allowed)
    except (Refused, Unavailable) as error:
        staff_channels.note(session, municipality.id, channel.id, error.kept())
        if isinstance(error, Unavailable) and delivery.attempts >= MOST_ATTEMPTS:
            raise Refused("staff_channels.given_up", problem=error) from error
        raise
    staff_channels.note(session, municipality.id, channel.id, None)
    return receipt


def hearers(session: ReadSession, municipality: MunicipalityView, about: About) -> Iterable[Recipient]:
    """The channels that are told of this."""
    reports = _reports(session, municipality, about)
    for channel in staff_channels.listed(session, municipality.id):
        if channel.is_active and any(_hears(channel, about, report) for report in reports):
            yield Recipient(str(channel.id), channel.language, channel=CHANNEL)


def compose(session: ReadSession, municipality: MunicipalityView, delivery: Delivery) -> Letter | None:
    """What a channel is told, of the reports that are its own."""
    channel = session.get(StaffChannel, (municipality.id, int(delivery.address)))
    about = delivery.about
    reports = [one for one in _reports(session, municipality, about) if channel and _hears(channel, about, one)]
    if channel is None or not reports:
        return None
    language, first = channel.language, reports[0]
    what = "emergency" if about["what"] == "arrived" and first.is_emergency else about["what"]
    lines = [_line(municipality, report, language) for report in reports[:MOST_LISTED]]
    if len(reports) > MOST_LISTED:
        lines.append(text("staff_letter.more", language=language, more=len(reports) - MOST_LISTED))
    return _letter(
        text(f"staff_channels.told_{what}", language=language, municipality=municipality.name),
        lines,
        _map_link(first) if len(reports) == 1 else "",
    )


def trial(session: ReadSession, municipality: MunicipalityView, delivery: Delivery) -> Letter | None:
    """A try, at the administrator's wish."""
    channel = session.get(StaffChannel, (municipality.id, int(delivery.address)))
    if channel is None:
        return None
    words = text("staff_channels.try_text", language=channel.language, channel=channel.name)
    return _letter(
        text("staff_channels.told_try", language=channel.language, municipality=municipality.name), [words], ""
    )


def tried(session: ReadSession, municipality: MunicipalityView, about: About) -> Iterable[Recipient]:
    """The channel that is tried."""
    channel = session.get(StaffChannel, (municipality.id, about["channel_id"]))
    return [Recipient(str(channel.id), channel.language, channel=CHANNEL)] if channel else []


def _hears(channel: StaffChannel, about: About, report: Report) -> bool:
    what = str(about["what"])
    is_wanted = what in channel.hears or (what == "arrived" and report.is_emergency and "emergency" in channel.hears)
    if channel.crew_id is not None:
        return is_wanted and "department_id" not in about and channel.crew_id == report.crew_id
    is_theirs = channel.department_id is None or channel.department_id == report.department_id
    return is_wanted and "crew_id" not in about and is_theirs


def _reports(session: ReadSession, municipality: MunicipalityView, about: About) -> list[Report]:
    """The reports it is about, as they are now."""
    wanted = select(Report).where(Report.municipality_id == municipality.id)
    if "first" in about:
        told = (
            select(TimelineEntry.report_id)
            .where(
                TimelineEntry.municipality_id == municipality.id,
                TimelineEntry.id.between(about["first"], about["last"]),
            )
            .where(TimelineEntry.person_id == about["by"] if "by" in about else TimelineEntry.what == about["what"])
        )
        wanted = wanted.where(Report.id.in_(told), Report.is_open)
    else:
        wanted = wanted.where(Report.id == UUID(str(about["report_id"])))
    return list(session.scalars(wanted.order_by(Report.deadline_at, Report.number)))


def _line(municipality: MunicipalityView, report: Report, language: str) -> str:
    category = municipality.category_ids[report.category_id].name(language)
    said = [f"{report.number}: {category}", municipality.by_id[report.department_id].name(language)]
    if report.address_source == REGISTER and _is_for_all(report):
        said.append(report.address or "")
    if report.is_open:
        due = municipality.local(report.deadline_at).strftime("%d/%m/%Y")
        said.append(text("staff_letter.due", language=language, deadline=due))
    return ", ".join(said)


def _is_for_all(report: Report) -> bool:
    return report.is_public and not report.is_coarse


def _map_link(report: Report) -> str:
    if not _is_for_all(report):
        return ""
    return f"{settings().public_url.rstrip('/')}/#17/{report.lat:.6f}/{report.lon:.6f}"


def _letter(subject: str, happened: list[str], link: str) -> Letter:
    return Letter(subject=subject, heading=subject, happened=happened, footer="", link=link)
