"""Letters of notices on their way: claimed one by one by as many workers as there are, sent, and counted.

A letter is claimed in a transaction of its own (others skip what is locked), written down as sent, handed over, and
kept with the server's 250. So a worker that dies loses none, and repeats at most the one letter of each of its threads
whose 250 it has not yet kept, under the same Message-ID. These commits do not wait for the disk: what a dead worker
has kept stays kept; only a power cut of the database would forget the last half second.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import text as statement

from city.database import ReadSession, WriteSession, reading, writing
from city.errors import Refused, Unavailable
from city.jobs import DEAD
from city.messages import mail_pace
from city.messages.channels import CHANNELS, by_ready_mail
from city.messages.fates import pausing
from city.messages.letter import Letter, message_id
from city.messages.notices import letter as notice_letter
from city.messages.notices.letter import News
from city.messages.notices.mould import Mould
from city.messages.notices.queue import KIND, as_sender
from city.messages.subscriptions import own_links
from city.messages.tables import Delivery
from city.outside.mail import mailer
from city.outside.mail_status import judged
from city.registry import view
from city.registry.municipality import MunicipalityView
from city.registry.notice_tables import Notice

SENT_BETWEEN_LOOKS: Final = 50
"""Letters after which a worker looks again what is most urgent."""
MOST_FAILED: Final = 5
"""After so many failures one after the other it is the server that is away, and not an address."""
MOST_ATTEMPTS: Final = 30
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 60.0, 3600.0
"""Before a letter that was not taken is tried again; doubled each time. The others do not wait for it."""
PAUSE_SECONDS: Final = 0.2
MOST_COMPOSED: Final = 50
STATES: Final = ("queued", "sent", "refused", "dropped", "bounced")

_GOING: Final = statement("""
    SELECT telling.id FROM notice_telling AS telling
    JOIN notice ON notice.municipality_id = telling.municipality_id AND notice.id = telling.notice_id
    WHERE telling.municipality_id = :home AND telling.over_at IS NULL AND telling.paused_at IS NULL
      AND EXISTS (
        SELECT FROM delivery WHERE delivery.municipality_id = telling.municipality_id
          AND delivery.telling_id = telling.id AND delivery.state = 'queued' AND delivery.due_at <= now())
    ORDER BY notice.is_urgent DESC, telling.id LIMIT 1
""")
_DUE: Final = statement("""
    SELECT DISTINCT telling.municipality_id, (
      SELECT count(*) FROM job WHERE actor = 'send_notices' AND state <> :dead
        AND (arguments ->> 'municipality_id')::integer = telling.municipality_id) AS jobs
    FROM notice_telling AS telling
    WHERE telling.over_at IS NULL AND telling.paused_at IS NULL
      AND EXISTS (
        SELECT FROM delivery WHERE delivery.municipality_id = telling.municipality_id
          AND delivery.telling_id = telling.id AND delivery.state = 'queued' AND delivery.due_at <= now())
""")
_CLOSE: Final = statement("""
    UPDATE notice_telling AS telling SET over_at = now()
    WHERE over_at IS NULL AND queued_at IS NOT NULL
      AND NOT EXISTS (
        SELECT FROM delivery WHERE delivery.municipality_id = telling.municipality_id
          AND delivery.telling_id = telling.id AND delivery.state = 'queued')
""")
_PROGRESS: Final = statement("""
    SELECT telling.id, telling.what, telling.words, telling.created_at, telling.queued_at, telling.paused_at,
           telling.over_at, fate.state, fate.channel, fate.count, fate.waiting, fate.lately
    FROM notice_telling AS telling LEFT JOIN LATERAL (
      SELECT state, channel, count(*) AS count, count(*) FILTER (WHERE due_at > now()) AS waiting,
             count(*) FILTER (WHERE sent_at > now() - interval '1 minute') AS lately
      FROM delivery
      WHERE delivery.municipality_id = telling.municipality_id AND delivery.telling_id = telling.id
      GROUP BY state, channel
    ) AS fate ON true
    WHERE telling.municipality_id = :home AND telling.notice_id = :notice
    ORDER BY telling.id
""")
_CLAIM: Final = """
  SELECT delivery.id, delivery.channel, delivery.address, delivery.language, delivery.about, delivery.attempts,
         delivery.due_at, notice.id AS notice_id, notice.version, notice.state, telling.what, telling.words,
         EXISTS (
           SELECT FROM subscription WHERE subscription.municipality_id = %(home)s
             AND subscription.id = ANY (ARRAY(SELECT jsonb_array_elements(delivery.about -> 'subscriptions')::bigint))
         ) AS is_asked,
         delivery.channel = 'email' AND EXISTS (
           SELECT FROM paused_address WHERE paused_address.municipality_id = %(home)s
             AND paused_address.address = lower(delivery.address)) AS is_paused
  FROM (
    SELECT * FROM delivery
    WHERE municipality_id = %(home)s AND telling_id = %(telling)s AND state = 'queued' AND due_at <= now()
      AND (%(mails)s OR channel <> 'email')
    ORDER BY due_at, id LIMIT 1 FOR UPDATE SKIP LOCKED
  ) AS delivery
  JOIN notice_telling AS telling ON telling.municipality_id = %(home)s AND telling.id = %(telling)s
    AND telling.paused_at IS NULL
  JOIN notice ON notice.municipality_id = %(home)s AND notice.id = telling.notice_id
"""
_NOTE: Final = """
  UPDATE delivery SET state = %(state)s::text, subject = %(subject)s, receipt = %(receipt)s, problem = %(problem)s,
    dropped_for = %(dropped_for)s, attempts = %(attempts)s,
    about = jsonb_set(about, '{version}', to_jsonb(%(version)s::int)),
    sent_at = CASE WHEN %(state)s::text = 'sent' THEN clock_timestamp() END,
    due_at = CASE WHEN %(wait)s::float8 > 0 THEN now() + make_interval(secs => %(wait)s::float8) ELSE due_at END
  WHERE municipality_id = %(home)s AND id = %(id)s
"""


class _Claimed(NamedTuple):
    """A letter that is ours to send, with all that decides what it says."""

    id: UUID
    channel: str
    address: str
    language: str
    about: dict[str, Any]
    attempts: int
    due_at: datetime
    notice_id: UUID
    version: int
    state: str
    what: str
    words: str | None
    is_asked: bool
    is_paused: bool

    @property
    def is_true(self) -> bool:
        """Whether its reader still wants it, and it still holds."""
        return self.is_asked and self.state == ("withdrawn" if self.what == "withdrawn" else "published")

    @property
    def news(self) -> News:
        """What it tells its reader."""
        return News(self.what, self.words) if self.about["knows"] else News("announced")


def send(municipality_id: int, until: float) -> tuple[bool, str | None]:
    """Send letters that are due up to the monotonic time `until`.

    Gives whether there may be more, and what keeps them from being sent.
    """
    failed = 0
    with mailer().keeping(), mail_pace.turn(until) as turn:
        others = True  # what leaves by another way than mail does not wait for the pace of mail
        while (telling_id := _going(municipality_id)) is not None and time.monotonic() < until:
            for _ in range(SENT_BETWEEN_LOOKS):
                mails = turn.may_mail() or (not others and turn.wait())
                if not mails and not others:
                    return True, None
                found, problem = send_next(municipality_id, telling_id, mails=mails)
                failed = failed + 1 if problem else 0
                if failed == MOST_FAILED:
                    return True, problem
                if not found and mails:  # the last ones are in others' hands
                    time.sleep(PAUSE_SECONDS)
                others = others and (found or mails)
                if (not found and mails) or time.monotonic() > until:
                    break
        return telling_id is not None, None


def _going(municipality_id: int) -> int | None:
    """The telling whose letters are due, the urgent ones first; the registry is read anew if need be."""
    with reading(municipality_id) as session:
        view.fresh(session)
        telling_id: int | None = session.scalar(_GOING, {"home": municipality_id})
        return telling_id


def send_next(municipality_id: int, telling_id: int, *, mails: bool = True) -> tuple[bool, str | None]:
    """Send one letter that nobody else is at, perhaps of those only that are no mails.

    Gives whether there was one, and what kept it from being sent.
    """
    with writing(municipality_id) as session:
        as_sender(session, municipality_id)
        row = session.raw.execute(_CLAIM, {"home": municipality_id, "telling": telling_id, "mails": mails}).fetchone()
        if row is None:
            return False, None
        return True, _hand_over(session, view.held().municipalities[municipality_id], _Claimed(*row))


def _hand_over(session: WriteSession, municipality: MunicipalityView, claimed: _Claimed) -> str | None:
    delivery = Delivery(
        municipality_id=municipality.id,
        id=claimed.id,
        kind=KIND,
        about=claimed.about,
        channel=claimed.channel,
        address=claimed.address,
        language=claimed.language,
        created_at=claimed.due_at,
    )
    note = _Note(session, delivery, claimed.attempts + 1, claimed.version)
    if claimed.is_paused or not claimed.is_true:
        note("dropped", dropped_for="paused" if claimed.is_paused else "moot")
        return None
    made = _made(session, municipality, claimed)
    delivery.subject, receipt = made.plain.subject, message_id(delivery)
    note("sent", receipt=receipt)
    try:
        given = _carry(session, municipality, delivery, made)
    except Refused as error:
        note("refused", problem=error.kept())
        if status := error.values.get("status"):
            refused = session.get_one(Delivery, (municipality.id, claimed.id))
            pausing.note(session, refused, judged(str(status)), str(status))
    except Unavailable as error:
        is_hopeless = note.attempts >= MOST_ATTEMPTS
        wait = min(FIRST_WAIT_SECONDS * 2 ** min(claimed.attempts, 10), LONGEST_WAIT_SECONDS)
        note("refused" if is_hopeless else "queued", problem=error.kept(), wait=0.0 if is_hopeless else wait)
        return error.kept()
    else:
        if given != receipt:
            note("sent", receipt=given)
    return None


@dataclass
class _Note:
    """Writes down how it goes with a letter."""

    session: WriteSession
    delivery: Delivery
    attempts: int
    version: int
    """The notice's, whose words it says."""

    def __call__(
        self,
        state: str,
        *,
        receipt: str | None = None,
        problem: str | None = None,
        dropped_for: str | None = None,
        wait: float = 0,
    ) -> None:
        """Write it down."""
        self.session.raw.execute(
            _NOTE,
            {
                "home": self.delivery.municipality_id,
                "id": self.delivery.id,
                "state": state,
                "subject": self.delivery.subject or "",
                "receipt": receipt,
                "problem": problem,
                "dropped_for": dropped_for,
                "attempts": self.attempts,
                "version": self.version,
                "wait": wait,
            },
        )


class _Made(NamedTuple):
    """A letter but for what is its reader's own, the mould of its mails, and the municipality as both know it."""

    municipality: MunicipalityView
    plain: Letter
    mould: Mould


_composed: Final[dict[tuple[Any, ...], _Made]] = {}
"""By what decides what they say; a thread may find that another has cleared it meanwhile, or made it anew."""


def _carry(session: WriteSession, municipality: MunicipalityView, delivery: Delivery, made: _Made) -> str:
    """Take the letter to its reader; gives the receipt. Raises Unavailable, Refused."""
    subscriber_id = UUID(delivery.about["subscriber"])
    page = own_links.page_of(municipality.id, subscriber_id)
    letter = notice_letter.addressed(made.plain, page, own_links.end_of(municipality.id, delivery.id, subscriber_id))
    if delivery.channel == "email" and (mail := made.mould.cast(delivery, page, letter.unsubscribe)) is not None:
        return by_ready_mail(delivery, mail)
    return CHANNELS[delivery.channel](session, municipality, delivery, letter)


def _made(session: WriteSession, municipality: MunicipalityView, claimed: _Claimed) -> _Made:
    key = (claimed.notice_id, claimed.version, claimed.news, claimed.language)
    made = _composed.get(key)
    if made is None or made.municipality is not municipality:
        notice = session.get_one(Notice, (municipality.id, claimed.notice_id))
        plain = notice_letter.letter(municipality, notice, claimed.news, claimed.language)
        made = _Made(municipality, plain, Mould(municipality, plain, notice_letter.THEIR_PAGE, claimed.language))
        if len(_composed) >= MOST_COMPOSED:
            _composed.clear()
        _composed[key] = made
    return made


def due(session: ReadSession) -> list[tuple[int, int]]:
    """The municipalities with letters that may leave now, and how many jobs there are to send them."""
    return [(row.municipality_id, row.jobs) for row in session.execute(_DUE, {"dead": DEAD})]


def close(session: WriteSession) -> None:
    """Note of which tellings nothing is left to be sent."""
    session.execute(_CLOSE)


def progress(session: ReadSession, notice: Notice) -> list[dict[str, Any]]:
    """How far each telling of the notice is, the first one first: letters by state, channel, rate, expected end."""
    tellings: dict[int, dict[str, Any]] = {}
    for row in session.execute(_PROGRESS, {"home": notice.municipality_id, "notice": notice.id}):
        telling = tellings.setdefault(row.id, _told(row))
        if row.state is not None:
            telling["letters"][row.state] += row.count
            telling["channels"][row.channel] = telling["channels"].get(row.channel, 0) + row.count
            telling["waiting"] += row.waiting if row.state == "queued" else 0
            telling["per_minute"] += row.lately
    for telling in tellings.values():
        _foresee(telling)
    return list(tellings.values())


def _told(row: Any) -> dict[str, Any]:
    return {
        "what": row.what,
        "words": row.words,
        "begun_at": row.created_at,
        "queued_at": row.queued_at,
        "paused_at": row.paused_at,
        "over_at": row.over_at,
        "letters": dict.fromkeys(STATES, 0),
        "channels": {},
        "waiting": 0,
        "per_minute": 0,
        "expected_at": None,
    }


def _foresee(telling: dict[str, Any]) -> None:
    """When the last letter that is due now will have left, at the last minute's rate."""
    left = telling["letters"]["queued"] - telling["waiting"]
    telling["left"] = telling["letters"]["queued"]
    if left > 0 and telling["per_minute"] > 0 and telling["paused_at"] is None:
        telling["expected_at"] = datetime.now(UTC) + timedelta(minutes=left / telling["per_minute"])
