"""When somebody may be told: at once or once a day, and not in their quiet hours, by the municipality's clock."""

from __future__ import annotations

from datetime import datetime, time
from typing import Final
from uuid import UUID

from city.database import ReadSession
from city.registry.municipality import MunicipalityView

DAILY_AT: Final = time(7, 0)

DUE_SQL: Final = """
  CASE
    WHEN {who}.rhythm = 'daily' AND {who}.quiet_from IS NULL
      THEN ((local.at::date + (local.at::time >= %(daily)s)::int) + %(daily)s::time) AT TIME ZONE %(zone)s
    WHEN {who}.rhythm = 'daily'
      THEN ((local.at::date + (local.at::time >= greatest(%(daily)s::time, {who}.quiet_until))::int)
            + greatest(%(daily)s::time, {who}.quiet_until)) AT TIME ZONE %(zone)s
    WHEN CASE WHEN {who}.quiet_from <= {who}.quiet_until
              THEN local.at::time >= {who}.quiet_from AND local.at::time < {who}.quiet_until
              ELSE local.at::time >= {who}.quiet_from OR local.at::time < {who}.quiet_until END
      THEN ((local.at::date + (local.at::time >= {who}.quiet_until)::int) + {who}.quiet_until) AT TIME ZONE %(zone)s
    ELSE now()
  END
"""
"""When `{who}`, a row with `rhythm`, `quiet_from` and `quiet_until`, may be told what happened at `local.at`."""
_REPORTER_DUE: Final = f"""
  SELECT greatest(
    (SELECT {DUE_SQL.format(who="reporter")}
     FROM (SELECT %(happened_at)s::timestamptz AT TIME ZONE %(zone)s AS at) AS local),
    (SELECT {DUE_SQL.format(who="asleep")}
     FROM (SELECT 'at_once' AS rhythm, reporter.quiet_from, reporter.quiet_until) AS asleep,
          (SELECT now() AT TIME ZONE %(zone)s AS at) AS local)
  )
  FROM reporter WHERE municipality_id = %(municipality_id)s AND report_id = %(report_id)s
"""  # noqa: S608
"""From when it is due, and it is kept from quiet hours also where nobody could send it then."""


def reporter_due(
    session: ReadSession, municipality: MunicipalityView, report_id: UUID, happened_at: datetime
) -> datetime | None:
    """From when on a report's reporter may be told what happened at that moment; None where there is no reporter."""
    values = {
        "municipality_id": municipality.id,
        "report_id": report_id,
        "happened_at": happened_at,
        "zone": str(municipality.time_zone),
        "daily": DAILY_AT,
    }
    row = session.raw.execute(_REPORTER_DUE, values).fetchone()
    return row[0] if row else None
