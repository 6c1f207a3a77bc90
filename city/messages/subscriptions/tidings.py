"""What subscribers are still to be told: noted when it happens, gathered when it is due, sent one mail after another.

A tiding is one subscriber, one entry of one report. All that are due for a subscriber become one mail, so that a busy
morning is not twenty of them; a daily rhythm and quiet hours are nothing but a later moment at which they are due.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import date
from functools import partial
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy import text as statement
from sqlalchemy.dialects.postgresql import insert

from city.database import ReadSession, WriteSession
from city.messages import recipients
from city.messages.letter import Letter
from city.messages.news import OUTCOMES
from city.messages.notices.mentions import note_of
from city.messages.posting import post
from city.messages.quiet import DAILY_AT, DUE_SQL
from city.messages.subscriptions import own_links
from city.messages.subscriptions.matching import MATCH_SQL, values_of
from city.messages.subscriptions.tables import ReportTold, Subscriber
from city.messages.tables import Delivery
from city.registry.municipality import MunicipalityView
from city.reports.tables import Report, Reporter, TimelineEntry
from city.settings import settings
from city.texts import text
from geo.place import Place

KIND: Final = "tidings"
MOST_GATHERED: Final = 2_000
MOST_LINES: Final = 30
BROKEN: Final = frozenset({"promise_taken_back", "slipped"})

_NOTE: Final = f"""
  INSERT INTO tiding (municipality_id, subscriber_id, subscription_id, report_id, first_id, entry_id, due_at)
  SELECT %(municipality_id)s, subscriber.id, told.subscription_id, %(report_id)s, told.first_id, %(entry_id)s,
         {DUE_SQL.format(who="subscriber")}
  FROM (
    SELECT hearing.subscriber_id, min(hearing.subscription_id) AS subscription_id, min(since.first_id) AS first_id
    FROM (
      SELECT subscriber_id, id AS subscription_id, true AS follows FROM subscription
      WHERE municipality_id = %(municipality_id)s AND report_id = %(report_id)s AND confirmed_at IS NOT NULL
      UNION ALL
      SELECT subscriber_id, subscription_id, false FROM (
      {MATCH_SQL}
      ) AS near
    ) AS hearing
    JOIN subscription ON subscription.municipality_id = %(municipality_id)s
      AND subscription.id = hearing.subscription_id
    CROSS JOIN LATERAL (
      SELECT min(entry.id) AS first_id, bool_or(entry.is_news) AS has_news
      FROM unnest(%(ids)s::bigint[], %(moments)s::timestamptz[], %(news)s::boolean[]) AS entry (id, at, is_news)
      WHERE entry.at > subscription.confirmed_at
    ) AS since
    WHERE since.has_news OR hearing.follows AND since.first_id IS NOT NULL
    GROUP BY hearing.subscriber_id
  ) AS told
  JOIN subscriber ON subscriber.municipality_id = %(municipality_id)s AND subscriber.id = told.subscriber_id
  CROSS JOIN (SELECT now() AT TIME ZONE %(zone)s AS at) AS local
  WHERE NOT EXISTS (
      SELECT FROM paused_address AS paused
      WHERE paused.municipality_id = %(municipality_id)s AND paused.address = lower(subscriber.address)
    )
    AND lower(subscriber.address) <> ALL (%(reporter)s::text[])
  ON CONFLICT DO NOTHING
"""  # noqa: S608
"""What happened before somebody said yes is no news to them, also where the report is looked at for the first time."""

_GATHER: Final = statement("""
  WITH due AS (
    SELECT municipality_id, subscriber_id, min(id) AS first FROM tiding
    WHERE delivery_id IS NULL AND due_at <= now() GROUP BY 1, 2 ORDER BY 3 LIMIT :most
  ), made AS (
    INSERT INTO delivery (municipality_id, kind, once, about, channel, address, language, subject)
    SELECT municipality_id, 'tidings', 'tidings ' || due.first,
           jsonb_build_object('subscriber', subscriber.id), subscriber.channel, subscriber.address,
           subscriber.language, ''
    FROM due JOIN subscriber USING (municipality_id) WHERE subscriber.id = due.subscriber_id
    ON CONFLICT DO NOTHING
    RETURNING municipality_id, id, channel, (about ->> 'subscriber')::uuid AS subscriber_id
  ), told AS (
    UPDATE tiding SET delivery_id = made.id FROM made
    WHERE tiding.municipality_id = made.municipality_id AND tiding.subscriber_id = made.subscriber_id
      AND tiding.delivery_id IS NULL AND tiding.due_at <= now()
    RETURNING 1
  )
  SELECT DISTINCT municipality_id, channel FROM made
""")

_TOLD: Final = statement("""
  SELECT tiding.report_id, min(tiding.first_id) AS first_id, max(tiding.entry_id) AS last_id,
         array_agg(DISTINCT subscription.id) AS subscriptions
  FROM tiding JOIN subscription
    ON subscription.municipality_id = tiding.municipality_id AND subscription.id = tiding.subscription_id
  WHERE tiding.municipality_id = :home AND tiding.delivery_id = :delivery
  GROUP BY 1 ORDER BY 3
""")
"""What a delivery was made for, of subscriptions that have not ended: the news of a report may come by several."""


def note(session: WriteSession, municipality: MunicipalityView, report_id: UUID) -> int:
    """Note what is new of a report for everybody who asked for it; how many are to be told. May come twice."""
    session.execute(
        insert(ReportTold)
        .values(municipality_id=municipality.id, report_id=report_id, entry_id=0)
        .on_conflict_do_nothing()
    )
    told = session.get_one(ReportTold, (municipality.id, report_id), with_for_update=True)
    entries = session.scalars(
        select(TimelineEntry)
        .where(
            TimelineEntry.municipality_id == municipality.id,
            TimelineEntry.report_id == report_id,
            TimelineEntry.is_public,
            TimelineEntry.id > told.entry_id,
        )
        .order_by(TimelineEntry.id)
    ).all()
    report = session.get(Report, (municipality.id, report_id))
    if report is None or not entries:
        return 0
    told.entry_id = entries[-1].id
    if not report.is_public or report.is_coarse:
        return 0
    place, day = Place(report.lon, report.lat), municipality.local(report.created_at).date()
    values = {
        **values_of(municipality, place, day, report.group_slug),
        "report_id": report_id,
        "ids": [entry.id for entry in entries],
        "moments": [entry.at for entry in entries],
        "news": [_is_news(entry) for entry in entries],
        "entry_id": entries[-1].id,
        "zone": str(municipality.time_zone),
        "daily": DAILY_AT,
        "reporter": _reporter(session, municipality, report),
    }
    if report.master_id is not None or not any(values["news"]):
        values["cells"] = []  # only those who follow this very report
    return session.raw.execute(_NOTE, values).rowcount


def _is_news(entry: TimelineEntry) -> bool:
    return entry.what == "received" or (entry.what == "moved" and entry.to_state in OUTCOMES)


def _reporter(session: ReadSession, municipality: MunicipalityView, report: Report) -> list[str]:
    """The reporter's own addresses: they hear of it anyway."""
    found = session.get(Reporter, (municipality.id, report.id))
    to = recipients.reporter(municipality, found)
    return [address.lower() for address in {found and found.email, to and to.address} if address]


def gather(session: WriteSession) -> list[tuple[int, str]]:
    """Make one delivery for each subscriber who is due, wherever; gives municipality and channel of what is to send."""
    return [(row[0], row[1]) for row in session.execute(_GATHER, {"most": MOST_GATHERED})]


def send_next(
    session: WriteSession, municipality: MunicipalityView, channel: str, tried: Collection[UUID]
) -> tuple[UUID | None, str | None]:
    """Send one delivery that nobody else is at and that was not `tried`: which, and what kept it from being sent."""
    delivery = session.scalar(
        select(Delivery)
        .where(
            Delivery.municipality_id == municipality.id,
            Delivery.kind == KIND,
            Delivery.channel == channel,
            Delivery.state == "queued",
            Delivery.id.not_in(tried),
        )
        .order_by(Delivery.created_at, Delivery.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    if delivery is None:
        return None, None
    return delivery.id, post(session, municipality, [delivery], compose)


def compose(session: WriteSession, municipality: MunicipalityView, delivery: Delivery) -> Letter | None:
    """The letter that tells a subscriber what the delivery was made for; None where there is nothing to tell."""
    rows = session.execute(_TOLD, {"home": municipality.id, "delivery": delivery.id}).all()
    reports = {row.report_id: (row.first_id, row.last_id) for row in rows}
    subscriber = session.get(Subscriber, (municipality.id, UUID(delivery.about["subscriber"])))
    if subscriber is None or not reports:
        return None
    letter = _letter(session, municipality, subscriber, reports)
    if letter is None:
        return None
    delivery.about = {**delivery.about, "subscriptions": sorted({one for row in rows for one in row.subscriptions})}
    return replace(letter, unsubscribe=own_links.end_of(municipality.id, delivery.id, subscriber.id))


def _letter(
    session: ReadSession, municipality: MunicipalityView, subscriber: Subscriber, reports: dict[UUID, tuple[int, int]]
) -> Letter | None:
    """What has become of these reports, from what anybody may see of them."""
    language = subscriber.language
    say = partial(text, language=language)
    lines: list[str] = []
    last: Report | None = None
    for report_id, told in reports.items():
        report = session.get(Report, (municipality.id, report_id))
        if report is None or not report.is_public or report.is_coarse:
            continue
        last = report
        lines.append(_line(session, municipality, report, told, language))
    if last is None:
        return None
    more = len(lines) - MOST_LINES
    base = settings().public_url.rstrip("/")
    one = len(lines) == 1
    theirs = own_links.page_of(municipality.id, subscriber.id)
    return Letter(
        subject=say("tidings.subject_one", number=last.number) if one else say("tidings.subject", count=len(lines)),
        heading=say("tidings.heading", municipality=municipality.name),
        happened=lines[:MOST_LINES] + ([say("tidings.more", count=more)] if more > 0 else []),
        link=f"{base}/#17/{last.lat:.6f}/{last.lon:.6f}" if one else f"{base}/",
        footer=say("tidings.footer", municipality=municipality.name, link=theirs),
        button=say("tidings.button"),
        topic=str(last.id) if one else "",
    )


def _line(
    session: ReadSession, municipality: MunicipalityView, report: Report, told: tuple[int, int], language: str
) -> str:
    entries = session.scalars(
        select(TimelineEntry)
        .where(
            TimelineEntry.municipality_id == municipality.id,
            TimelineEntry.report_id == report.id,
            TimelineEntry.id.between(*told),
            TimelineEntry.is_public,
            ~TimelineEntry.what.startswith("master_"),
        )
        .order_by(TimelineEntry.id)
    ).all()
    say = partial(text, language=language)
    line = say(
        "tidings.line",
        number=report.number,
        category=municipality.category_ids[report.category_id].name(language),
        state=say(f"state.{report.state}").lower(),
        department=municipality.by_id[report.department_id].name(language),
    )
    if report.promised_at is not None and report.is_open and report.slipped_at is None:
        line += f". {say('mail.promised')}: {municipality.local(report.promised_at):%d/%m/%Y}"
    said = [one for entry in entries for one in _said(session, entry, language)]
    return " – ".join([line, *(said or filter(None, [report.public_description]))])


def _said(session: ReadSession, entry: TimelineEntry, language: str) -> list[str]:
    """That a promised date holds no longer, and what staff wrote."""
    said = []
    if entry.what in BROKEN:
        until = date.fromisoformat(entry.details["until"]).strftime("%d/%m/%Y")
        said.append(text(f"happened.{entry.what}", language=language, until=until))
    if entry.actor == "staff" and (note := note_of(session, entry, language)):
        said.append(note)
    return said
