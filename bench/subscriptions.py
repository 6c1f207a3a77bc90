"""How long it takes to find who asked to hear of a place, among 200,000 subscriptions in one city.

Ours as the application does it: as lampione_app under row-level security, by cells. Beside it PostGIS with the same
areas on a GiST index, as superuser (under row-level security that index goes unused), and the limit we set ourselves.
People live where people live: ten thousand places, circles of 150 m to 1 km around them, a fifth for one category group
only; and one in a thousand wants to hear of everything.
"""

from __future__ import annotations

import random
import statistics
import time
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from psycopg import Connection

from bench.results import Result
from city.database import ReadSession, reading
from city.messages.subscriptions.matching import EVERYWHERE, MATCH_SQL, values_of
from city.registry.municipality import MunicipalityView
from geo.covers import circle, covering_cells
from geo.nearby import extended_wkb, square_of
from geo.place import Place
from geo.within import AREAS_SQL, areas_holding

HOMES: Final = 10_000
EVENTS: Final = 300
LIMIT_MS: Final = 10.0
RADII: Final = (150, 300, 300, 500, 500, 1_000)
GROUPS: Final = ("lighting", "roads", "green", "waste")
WARM_UP: Final = 30
REACH_DEGREES: Final = 0.055
"""How far from the middle people live: a city of some 9 by 12 km."""


_SUBSCRIPTIONS: Final = """
  COPY subscription (municipality_id, id, subscriber_id, lon, lat, kind, metres, groups, confirmed_at) FROM STDIN
"""


def fill(owner: Connection[Any], municipality_id: int, middle: Place, count: int, *, wishes: int = 1) -> None:
    """Write `count` confirmed subscriptions, as superuser."""
    chance = random.Random(2026)  # noqa: S311  (a repeatable choice, no secret)
    homes = [_home(chance, middle) for _ in range(min(HOMES, count))]
    covers = [covering_cells(circle(place, metres)) for place, metres in homes]
    shapes = [extended_wkb(circle(place, metres)) for place, metres in homes]
    groups = [[chance.choice(GROUPS)] if number % 5 == 0 else None for number in range(count)]
    whole = extended_wkb(circle(middle, 50_000))
    owner.execute("SET session_replication_role = replica")
    owner.execute("TRUNCATE subscription_cell, subscription, subscriber, tiding CASCADE")
    owner.execute(AREAS_SQL)
    with owner.cursor() as cursor:
        with cursor.copy("COPY subscriber (municipality_id, id, address) FROM STDIN") as copy:
            for number in range(count):
                copy.write_row((municipality_id, UUID(int=number + 1), f"n{number}@example.org"))
        with cursor.copy(_SUBSCRIPTIONS) as copy:
            for number in range(count):
                place, metres = homes[number % len(homes)]
                what = ("municipality", None) if _wants_all(number) else ("circle", metres)
                row = (municipality_id, number, UUID(int=number + 1), place.lon, place.lat, *what, groups[number])
                copy.write_row((*row, datetime.now(UTC)))
        with cursor.copy("COPY subscription_cell FROM STDIN") as copy:
            for number in range(count):
                (place, metres), asked = homes[number % len(homes)], UUID(int=number + 1)
                group = groups[number]
                if _wants_all(number):
                    copy.write_row((municipality_id, EVERYWHERE, number, asked, True, wishes, None, None, None, group))
                    continue
                for cell in covers[number % len(covers)]:
                    middle_of = (None, None, None) if cell.is_inside else (*place, square_of(metres))
                    copy.write_row(
                        (municipality_id, cell.cell, number, asked, cell.is_inside, wishes, *middle_of, group)
                    )
        with cursor.copy("COPY area_peer FROM STDIN") as copy:
            for number in range(count):
                copy.write_row((number, whole if _wants_all(number) else shapes[number % len(shapes)]))
    owner.commit()
    owner.autocommit = True
    owner.execute("VACUUM ANALYZE subscription_cell, subscription, subscriber, area_peer")
    owner.autocommit = False


def _wants_all(number: int) -> bool:
    return number % 1000 == 0


def _count(session: ReadSession, values: dict[str, Any]) -> int:
    """How many are found; who they are stays in the database, as when they are noted."""
    row = session.raw.execute(f"SELECT count(*) FROM ({MATCH_SQL}) AS found", values).fetchone()  # noqa: S608
    return int(row[0]) if row else 0


def _home(chance: random.Random, middle: Place) -> tuple[Place, float]:
    lon = middle.lon + chance.triangular(-REACH_DEGREES, REACH_DEGREES) * 1.4
    lat = middle.lat + chance.triangular(-REACH_DEGREES, REACH_DEGREES)
    return Place(lon, lat), float(chance.choice(RADII))


def measure(owner: Connection[Any], municipality: MunicipalityView, middle: Place, count: int) -> list[Result]:
    """Milliseconds to find who is to hear of a report, among `count` subscriptions. Leaves them for the next run."""
    fill(owner, municipality.id, middle, count)
    chance = random.Random(7)  # noqa: S311
    places = [_home(chance, middle)[0] for _ in range(EVENTS)]
    day = datetime.now(UTC).date()
    ours: list[float] = []
    theirs: list[float] = []
    found = 0
    for place in places[:WARM_UP] + places:
        with reading(municipality.id) as session:
            started = time.perf_counter()
            found += _count(session, values_of(municipality, place, day, "lighting"))
            ours.append((time.perf_counter() - started) * 1000)
        started = time.perf_counter()
        areas_holding(owner, place)
        theirs.append((time.perf_counter() - started) * 1000)
    ours, theirs = ours[WARM_UP:], theirs[WARM_UP:]
    name = f"who asked for a place, {count:,} subscriptions, {found // len(places):,} found"
    middle_ms, slowest = statistics.median(ours), statistics.quantiles(ours, n=100)[98]
    return [
        Result(f"{name}, median, beside PostGIS", middle_ms, statistics.median(theirs), "ms"),
        Result(f"{name}, median, beside the limit", middle_ms, LIMIT_MS, "ms", 1.0),
        Result(f"{name}, 99th percentile, beside the limit", slowest, LIMIT_MS, "ms"),
    ]
