"""How long it takes to tell a hundred thousand people of one city, and whether all are told, once, though workers die.

A notice for a drawn area that holds the whole city is put down and sent by real workers to a mail server of our own.
All workers are killed with SIGKILL twice: while letters are put down, and while they are sent. Who was told is
counted in the server's own list, by recipient; nothing is taken out of it, a mail that came twice counts twice. Beside
it a bare loop of smtplib hands over the same mails, made before, to the same server.
"""

from __future__ import annotations

import smtplib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import UUID

import shapely
from psycopg import Connection

from bench import subscriptions
from bench.results import Result
from bench.smtp_sink import Taken, taken
from city.database import ReadSession, WriteSession, reading, writing
from city.messages.letter import as_mail
from city.messages.notices import handling, letter, queue
from city.messages.notices.area import Area, DrawnPart
from city.messages.notices.handling import NoticeFields
from city.messages.notices.letter import News
from city.messages.tables import Delivery
from city.registry.municipality import MunicipalityView
from city.registry.notice_tables import Notice
from city.registry.staff.people import Right, Staff
from city.registry.staff.rights import Post
from city.reports.changing import Desk
from geo.covers import circle
from geo.place import Place

BARE_MAILS: Final = 4_000
REACH_METRES: Final = 9_000.0
QUEUED_WITHIN_SECONDS: Final = 30.0
PATIENCE_SECONDS: Final = 1_800.0
KILLS: Final = 2


class Ground(NamedTuple):
    """Where it is measured: a superuser's connection, the town, its middle, how many live there, and the mail server.

    `working` starts workers and kills them with SIGKILL at the end of the block; `lanes` is how many letters they have
    under way at once.
    """

    owner: Connection[Any]
    town: MunicipalityView
    middle: Place
    people: int
    sink: Path
    port: int
    lanes: int
    working: Callable[[], AbstractContextManager[None]]
    said: Callable[[str], None]


def measure(ground: Ground) -> list[Result]:
    """Seconds to put down, mails a second, and how many of the people were told twice, or not at all."""
    ground.said("drawing")
    subscriptions.fill(ground.owner, ground.town.id, ground.middle, ground.people, wishes=3)
    wanted = _wanted(ground)
    ground.said("putting down")
    seconds = _seconds_to_queue(ground)
    begun = time.time()
    telling_id = _publish(ground)
    _tell(ground, telling_id)
    found = [one for one in taken(ground.sink) if one.at >= begun]
    ground.said("bare loop")
    mails = list(_mails(ground, telling_id))
    kept, single = _bare(ground.port, mails, keeps=True), _bare(ground.port, mails[: BARE_MAILS // 4], keeps=False)
    return _results(ground, wanted, found, [seconds, kept, single])


def _results(ground: Ground, wanted: set[str], found: Sequence[Taken], figures: Sequence[float]) -> list[Result]:
    seconds, kept, single = figures
    told = Counter(one.recipient for one in found)
    twice = sum(count - 1 for count in told.values())
    missed = len(wanted - told.keys()) + len(told.keys() - wanted)
    known = len(found) - len({one.message_id for one in found})
    rate = _steady(found)
    overall = len(found) / (found[-1].at - found[0].at)
    name = f"{len(wanted):,} people"
    possible = KILLS * ground.lanes
    return [
        Result(f"{name}: put down, beside the limit", seconds, QUEUED_WITHIN_SECONDS, "s", 1.0),
        Result("sent undisturbed, beside a bare loop of smtplib, kept connection", rate, kept, "mails/s"),
        Result("the same, beside one connection a mail", rate, single, "mails/s"),
        Result("sent in all, killed workers' absence included, beside the bare loop", overall, kept, "mails/s"),
        Result("told not at all, or without having asked", missed, 0, "mails", 1.0),
        Result(f"told twice, beside what {KILLS} kills may repeat at most", twice, possible, "mails", 1.0),
        Result("of these under another Message-ID", twice - known, 0, "mails", 1.0),
    ]


def _wanted(ground: Ground) -> set[str]:
    """Whose area meets the notice's, by their shapes alone."""
    area = circle(ground.middle, REACH_METRES)
    shapely.prepare(area)
    rows = ground.owner.execute(
        "SELECT subscriber.address, subscription.kind, subscription.lon, subscription.lat, subscription.metres"
        " FROM subscription JOIN subscriber ON subscriber.id = subscription.subscriber_id"
    )
    return {
        address
        for address, kind, lon, lat, metres in rows
        if kind == "municipality" or area.intersects(circle(Place(lon, lat), metres))
    }


def _publish(ground: Ground) -> int:
    """A notice of today for all of the city; gives its telling. Its letters are put down by workers."""
    everything = Post("bench", frozenset(Right))
    staff = Staff(1, "Bench", "bench@example.org", "it", ground.town.id, (everything,))
    now = datetime.now(UTC)
    fields = NoticeFields(
        kind="works",
        title_it="Lavori alla rete dell'acqua in centro",
        title_en="Works on the water pipes in the centre",
        text_it="Da lunedì si lavora in via Roma.\nL'acqua può mancare dalle 9 alle 12.",
        text_en="From Monday on there are works in Via Roma.\nThere may be no water from 9 to 12.",
        area=Area(drawn=[DrawnPart(shapely.geometry.mapping(circle(ground.middle, REACH_METRES)))]),
        starts_at=now,
        ends_at=now + timedelta(days=5),
        department=ground.town.fallback.slug,
    )
    with writing(ground.town.id) as session:
        desk = Desk(session, ground.town, staff)
        notice = handling.write(desk, fields)
        handling.publish(desk, notice.id, notice.version, confirm_urgent=False)
        session.flush()
        row = session.raw.execute("SELECT max(id) FROM notice_telling").fetchone()
        assert row is not None
        return int(row[0])


def _seconds_to_queue(ground: Ground) -> float:
    """How long one process takes to put all letters of a notice down; they are thrown away."""
    telling_id = _publish(ground)
    started = time.perf_counter()
    is_more = True
    while is_more:
        with writing(ground.town.id) as session:
            is_more = queue.put_down(session, ground.town, telling_id)
    seconds = time.perf_counter() - started
    ground.owner.execute("TRUNCATE delivery, notice, notice_telling, notice_report, job CASCADE")
    ground.owner.commit()
    ground.owner.autocommit = True
    ground.owner.execute("VACUUM ANALYZE delivery")
    ground.owner.autocommit = False
    return seconds


def _tell(ground: Ground, telling_id: int) -> None:
    """Let workers do it all, killed once while they put down and once while they send."""
    home = ground.town.id

    def queued() -> int:
        return _counted(home, "SELECT count(*) FROM delivery WHERE telling_id = %s", telling_id)

    def left() -> int:
        return _counted(home, "SELECT count(*) FROM delivery WHERE telling_id = %s AND state = 'queued'", telling_id)

    ground.said("putting down and sending, to be killed")
    with ground.working():
        _wait(lambda: queued() > 0)
    ground.said(f"killed, {queued():,} put down")
    with ground.working():
        _wait(lambda: queued() >= ground.people * 0.9 and left() < queued() * 0.6)
    ground.said(f"killed, {left():,} left")
    with ground.working():
        _wait(lambda: _is_over(home, telling_id), ground.said, left)


def _is_over(home: int, telling_id: int) -> bool:
    return bool(_counted(home, "SELECT count(*) FROM notice_telling WHERE id = %s AND over_at IS NOT NULL", telling_id))


def _counted(home: int, query: str, telling_id: int) -> int:
    with reading(home) as session:
        row = session.raw.execute(query, (telling_id,)).fetchone()
        return int(row[0]) if row else 0


def _wait(
    look: Callable[[], bool], said: Callable[[str], None] | None = None, left: Callable[[], int] = lambda: 0
) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not look():
        if time.monotonic() > deadline:
            raise TimeoutError(left())
        if said is not None:
            said(f"{left():,} left")
            time.sleep(1)
        time.sleep(0.05)


def _steady(found: Sequence[Taken]) -> float:
    """Mails a second in the longest stretch without a pause of a second."""
    best: tuple[float, float] = (0.0, 0.0)
    first = 0
    for number in range(1, len(found) + 1):
        if number == len(found) or found[number].at - found[number - 1].at > 1:
            span = found[number - 1].at - found[first].at
            if span > best[0]:
                best = (span, (number - first) / span)
            first = number
    return best[1]


def _mails(ground: Ground, telling_id: int) -> Iterator[EmailMessage]:
    """The mails of the first few letters, made anew."""
    with reading(ground.town.id) as session:
        notice = _notice_of(session, ground.town.id, telling_id)
        plain = letter.letter(ground.town, notice, News("announced"), "it")
    for number in range(min(BARE_MAILS, ground.people)):
        delivery = Delivery(
            municipality_id=ground.town.id,
            id=UUID(int=number),
            kind="notice",
            about={"subscriber": str(UUID(int=number + 1))},
            address=f"n{number}@example.org",
            language="it",
        )
        own = "https://example.org/" + "x" * 60
        yield as_mail(ground.town, delivery, letter.addressed(plain, own, own))


def _notice_of(session: ReadSession | WriteSession, home: int, telling_id: int) -> Notice:
    row = session.raw.execute("SELECT notice_id FROM notice_telling WHERE id = %s", (telling_id,)).fetchone()
    assert row is not None
    return session.get_one(Notice, (home, row[0]))


def _bare(port: int, mails: Sequence[EmailMessage], *, keeps: bool) -> float:
    """Mails a second that a loop hands over, over one connection or one each."""
    ready = [(str(mail["To"]), mail.as_bytes()) for mail in mails]
    started = time.perf_counter()
    if keeps:
        with smtplib.SMTP("127.0.0.1", port) as server:
            for address, content in ready:
                server.sendmail("bench@example.org", [address], content)
    else:
        for address, content in ready:
            with smtplib.SMTP("127.0.0.1", port) as server:
                server.sendmail("bench@example.org", [address], content)
    return len(ready) / (time.perf_counter() - started)
