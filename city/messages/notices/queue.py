"""Who hears of a notice: found by their areas, and a letter put down for each, in batches that survive the worker.

All who asked for notices where the area of the notice is, each once, however many of their subscriptions meet it. Who
asked for some category groups only hears of notices about these, and of those that are everybody's concern. Who follows
one report hears of that report, not of notices around it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select

from city.database import ReadSession, WriteSession, writing
from city.messages.notices.area import numbers_of
from city.messages.quiet import DAILY_AT, DUE_SQL
from city.messages.subscriptions.matching import NOTICES
from city.registry import view
from city.registry.municipality import MunicipalityView
from city.registry.notice_tables import Notice, NoticeTelling
from city.reports import journey
from geo.columns import read_shape
from geo.meeting import CIRCLE_MEETS_SQL, RANGES_SQL, SHAPE_MEETS_SQL, meeting_values
from geo.place import METRES_PER_DEGREE

KIND: Final = "notice"
BATCH: Final = 20_000
NOBODY: Final = UUID(int=0)
"""Comes before all subscribers."""
LANES: Final = 8
"""Jobs that send one telling's letters side by side, wherever there are workers for them."""
_STILL_SENDING: Final = 0x4E6F74
"""One half of the key of the advisory locks under which letters of notices leave; the other is the municipality."""

_WISHED: Final = f"wishes & {NOTICES} <> 0 AND (groups IS NULL OR %(groups)s::text[] IS NULL OR groups && %(groups)s)"
_EVERYBODY: Final = f"""
  SELECT subscriber_id, to_jsonb(array_agg(id)) AS subscriptions FROM (
    SELECT subscriber_id, id, groups, {NOTICES} * notices::integer AS wishes FROM subscription
    WHERE municipality_id = %(municipality_id)s AND kind <> 'report' AND confirmed_at IS NOT NULL
      AND subscriber_id > %(after)s
  ) AS near
  WHERE {_WISHED}
  GROUP BY subscriber_id
"""  # noqa: S608
_CIRCLE: Final = CIRCLE_MEETS_SQL.format(lon="near.lon", lat="near.lat", degrees="sqrt(near.square)")
_SUBSCRIBED_CIRCLE: Final = CIRCLE_MEETS_SQL.format(
    lon="subscription.lon", lat="subscription.lat", degrees=f"subscription.metres / {METRES_PER_DEGREE!r}"
)
_NEARBY: Final = f"""
  SELECT near.subscriber_id, to_jsonb(array_agg(DISTINCT near.subscription_id)) AS subscriptions
  FROM {RANGES_SQL}, LATERAL (
    SELECT * FROM subscription_cell
    WHERE municipality_id = %(municipality_id)s AND cell BETWEEN sought.first AND sought.last
      AND subscriber_id > %(after)s
    OFFSET 0  -- range by range by the index, however few the planner believes are left
  ) AS near
  WHERE {_WISHED}
    AND CASE WHEN sought.is_sure OR sought.is_above AND near.is_inside THEN true
             WHEN near.square IS NOT NULL THEN {_CIRCLE}
             ELSE EXISTS (
               SELECT FROM subscription
               WHERE subscription.municipality_id = near.municipality_id AND subscription.id = near.subscription_id
                 AND CASE WHEN subscription.kind = 'circle' THEN {_SUBSCRIBED_CIRCLE}
                          ELSE {SHAPE_MEETS_SQL.format("subscription.shape")} END) END
  GROUP BY near.subscriber_id
"""  # noqa: S608

_MATCHED: Final = """
  SELECT subscriber.id, subscriber.channel, subscriber.address, subscriber.language, {due} AS due_at,
         found.subscriptions, {knows} AS knows
  FROM ({found}) AS found
  JOIN subscriber ON subscriber.municipality_id = %(municipality_id)s AND subscriber.id = found.subscriber_id
  CROSS JOIN (SELECT now() AT TIME ZONE %(zone)s AS at) AS local
  WHERE NOT EXISTS (
    SELECT FROM paused_address AS pause WHERE pause.municipality_id = %(municipality_id)s
      AND subscriber.channel = 'email' AND pause.address = lower(subscriber.address))
"""
_COUNT: Final = "SELECT channel, count(*) FROM ({matched}) AS matched GROUP BY channel"
_PUT_DOWN: Final = """
  WITH batch AS MATERIALIZED (
    {matched} ORDER BY subscriber.id LIMIT {most}
  ), made AS (
    INSERT INTO delivery (municipality_id, kind, once, about, channel, address, language, subject, telling_id, due_at)
    SELECT %(municipality_id)s, 'notice', 'notice ' || %(telling_id)s || ' ' || id,
           jsonb_build_object('subscriber', id, 'subscriptions', subscriptions, 'knows', knows),
           channel, address, language, '', %(telling_id)s, due_at
    FROM batch ORDER BY id
    ON CONFLICT DO NOTHING
  )
  SELECT count(*), (SELECT id FROM batch ORDER BY id DESC LIMIT 1) FROM batch
"""
_TOLD: Final = """
  SELECT (earlier.about ->> 'subscriber')::uuid AS subscriber_id,
         bool_or(earlier.state = 'sent' AND coalesce((earlier.about ->> 'version')::int, 0) < %(version)s) AS knows,
         (array_agg(earlier.about -> 'subscriptions'))[1] AS subscriptions
  FROM notice_telling AS telling
  JOIN delivery AS earlier
    ON earlier.municipality_id = %(municipality_id)s AND earlier.telling_id = telling.id
  WHERE telling.municipality_id = %(municipality_id)s AND telling.notice_id = %(notice_id)s
    AND telling.id < %(telling_id)s AND earlier.state IN ('sent', 'queued')
  GROUP BY 1
"""
"""Whom earlier tellings have reached before the notice said what is told now; or (`knows` false) have reached since,
or are about to: these read whatever the notice says by then."""
_TOLD_AFTER: Final = f"SELECT * FROM ({_TOLD}) AS told WHERE knows AND subscriber_id > %(after)s"  # noqa: S608
_TOLD_OR_NEW: Final = f"""
  SELECT coalesce(told.subscriber_id, new.subscriber_id) AS subscriber_id,
         coalesce(told.subscriptions, new.subscriptions) AS subscriptions, coalesce(told.knows, false) AS knows
  FROM ({_TOLD}) AS told FULL JOIN ({{found}}) AS new USING (subscriber_id)
  WHERE coalesce(told.knows, true) AND coalesce(told.subscriber_id, new.subscriber_id) > %(after)s
"""  # noqa: S608
_DROP: Final = """
  UPDATE delivery SET state = 'dropped', dropped_for = 'moot' FROM notice_telling AS telling
  WHERE telling.municipality_id = %(municipality_id)s AND telling.notice_id = %(notice_id)s
    AND telling.id < %(telling_id)s
    AND delivery.municipality_id = telling.municipality_id AND delivery.telling_id = telling.id
    AND delivery.state = 'queued'
"""


def reach(session: ReadSession, municipality: MunicipalityView, notice: Notice) -> dict[str, int]:
    """How many would be told of the notice now, by channel."""
    found = _EVERYBODY if notice.is_everywhere else _NEARBY
    matched = _MATCHED.format(due="now()", knows="false", found=found)
    rows = session.raw.execute(_COUNT.format(matched=matched), _values(municipality, notice, NOBODY))
    return dict(rows.fetchall())


def put_all_down(municipality_id: int, telling_id: int) -> None:
    """Put down the letters of a telling, batch by batch, each of them a transaction; first of all wait for letters with
    older words that are leaving just now.
    """
    with writing(municipality_id) as session:
        wait_for_senders(session, municipality_id)
    is_more = True
    while is_more:
        with writing(municipality_id) as session:
            municipality = view.fresh(session).municipalities[municipality_id]
            is_more = put_down(session, municipality, telling_id)


def wait_for_senders(session: WriteSession, municipality_id: int) -> None:
    """Wait until every letter that is being sent just now has been, or has not: from then on all read the new words."""
    session.raw.execute("SELECT pg_advisory_xact_lock(%s, %s)", (_STILL_SENDING, municipality_id))


def as_sender(session: WriteSession, municipality_id: int) -> None:
    """Be one of those whom `wait_for_senders` waits for, in a transaction whose commit does not wait for the disk."""
    session.raw.execute(
        "SELECT set_config('synchronous_commit', 'off', true), pg_advisory_xact_lock_shared(%s, %s)",
        (_STILL_SENDING, municipality_id),
    )


def put_down(session: WriteSession, municipality: MunicipalityView, telling_id: int) -> bool:
    """Put down the next batch of a telling's letters, or of one before it; whether there is more to do.

    May come twice, also at once. What is no longer true is not told.
    """
    session.raw.execute("SET LOCAL statement_timeout = '10min'")
    notice_id = session.scalar(
        select(NoticeTelling.notice_id).where(
            NoticeTelling.municipality_id == municipality.id, NoticeTelling.id == telling_id
        )
    )
    if notice_id is None:
        return False
    # Before its telling, as whoever changes the notice locks them: the other way round two would wait for each other.
    notice = session.get_one(Notice, (municipality.id, notice_id), with_for_update={"read": True})
    telling = _first_unqueued(session, notice, telling_id)
    if telling is None:
        return False
    if notice.state != ("withdrawn" if telling.what == "withdrawn" else "published"):
        telling.queued_at = datetime.now(UTC)
        return True
    values = _values(municipality, notice, telling.told_up_to) | {
        "telling_id": telling.id,
        "notice_id": notice.id,
        "version": telling.version,
    }
    if telling.what == "withdrawn" and telling.told_up_to == NOBODY:
        session.raw.execute(_DROP, values)
    row = session.raw.execute(_statement(notice, telling), values).fetchone()
    assert row is not None
    count, last = row
    if last is not None:
        telling.told_up_to = last
        journey.after_queuing(session, municipality.id, times=LANES)
    if count < BATCH:
        telling.queued_at = datetime.now(UTC)
    return True


def _first_unqueued(session: WriteSession, notice: Notice, telling_id: int) -> NoticeTelling | None:
    """Of the tellings of a notice up to this one, the first that is not wholly put down; locked."""
    return session.scalar(
        select(NoticeTelling)
        .where(
            NoticeTelling.municipality_id == notice.municipality_id,
            NoticeTelling.notice_id == notice.id,
            NoticeTelling.id <= telling_id,
            NoticeTelling.queued_at.is_(None),
        )
        .order_by(NoticeTelling.id)
        .limit(1)
        .with_for_update()
    )


def _statement(notice: Notice, telling: NoticeTelling) -> str:
    found, knows = _EVERYBODY if notice.is_everywhere else _NEARBY, "false"
    if telling.what == "withdrawn":
        found, knows = _TOLD_AFTER, "true"
    elif telling.what == "changed":
        found, knows = _TOLD_OR_NEW.format(found=found), "found.knows"
    due = "now()" if notice.is_urgent else DUE_SQL.format(who="subscriber")
    return _PUT_DOWN.format(matched=_MATCHED.format(due=due, knows=knows, found=found), most=BATCH)


def _values(municipality: MunicipalityView, notice: Notice, after: UUID) -> dict[str, Any]:
    shape = read_shape(notice.shape)
    assert shape is not None
    numbers = numbers_of(municipality, shape, notice.zones, municipality.today())
    return {
        **meeting_values(shape, numbers),
        "municipality_id": municipality.id,
        "groups": notice.groups,
        "after": after,
        "zone": str(municipality.time_zone),
        "daily": DAILY_AT,
    }
