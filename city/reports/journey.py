"""What follows what: the one table of it.

| when …                         | … then                                                        |
|--------------------------------|---------------------------------------------------------------|
| a report or a photo came in    | `derive_photos`                                               |
| something public happened      | `tell_reporter` (of the report, and of those that hang on it) |
| the reporter wants it otherwise | `tell_reporter`: what has waited may be due                   |
| they are not to be disturbed   | the same job once more, later                                 |
| a watched report has news      | `tell_watchers`                                               |
| the same, where anybody asked  | `tell_subscribers`                                            |
| a category's privacy changed   | `republish_category`                                          |
| its reports are as public now  | `note_category` (webhooks)                                    |
| a ladder was changed           | `wind_clocks`                                                 |
| somebody asked for a password  | `send_password_link`                                          |
| a citizen asked for a code     | `send_citizen_code`                                           |
| photos were added              | `derive_photos`                                               |
| a child job is over            | `look_after_children` of its parent                           |
| a report was handed over       | `send_handover`                                               |
| news of a report handed over   | `mirror_handover`                                             |
| a body has not been asked long | `ask_handover`                                                |
| the office called one back     | `call_back_handover`                                          |
| a hand-over came back          | `send_letters` to the office                                  |
| a message is sent again        | `send_again`                                                  |
| mails may have come back       | `read_bounces`                                                |
| a webhook is to hear something | `send_webhooks`, never twice at once for the same one         |
| a notice is to be told         | `queue_notice`, then `send_notices`; `note_notice` (webhooks) |
| a notice dates reports inside  | `date_reports`                                                |
| somebody is to be written to   | `send_letters`, of a kind that stands in `messages/kinds.py`  |
| … and a chat is told of such   | `send_letters`, of the kind `staff_channel`                   |

Jobs are promised in the same transaction as the change itself; `workers` has one actor of each name.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from city.database import WriteSession
from city.jobs import URGENT, promise, promise_once
from city.registry import view

WEBHOOKS: Final = "webhooks"
"""The queue of calls to webhooks, which has threads of its own: a slow endpoint holds up no mail."""


STAFF_CHANNEL: Final = "staff_channel"
"""The letters that go to chats and pagers."""


A_MOMENT: Final = 1.0
"""So many seconds after it is due a job comes that was put off, lest another clock find it too early."""


class Promise(NamedTuple):
    """An actor's name and its arguments, ids only."""

    actor: str
    arguments: dict[str, Any]


def after_photos(session: WriteSession, municipality_id: int, report_id: UUID) -> None:
    """What follows when photos were added to a report that is in."""
    promise(session, "derive_photos", municipality_id=municipality_id, report_id=str(report_id))


def after_child(session: WriteSession, municipality_id: int, parent_id: UUID) -> None:
    """What follows when a part of a report's work is over."""
    promise(session, "look_after_children", municipality_id=municipality_id, report_id=str(parent_id))


def after_handing_over(session: WriteSession, municipality_id: int, handover_id: UUID) -> None:
    """What follows when a report was handed over, or its link renewed."""
    promise(session, "send_handover", municipality_id=municipality_id, handover_id=str(handover_id))


def after_calling_back(session: WriteSession, municipality_id: int, report_id: UUID, handover_id: UUID) -> None:
    """What follows when the office has taken a report back from whoever had it."""
    letters(
        session,
        municipality_id,
        "handover_called_back",
        report_id=str(report_id),
        handover_id=str(handover_id),
    )
    promise(session, "call_back_handover", municipality_id=municipality_id, handover_id=str(handover_id))


def after_news_there(session: WriteSession, municipality_id: int, report_id: UUID) -> None:
    """What follows when something public happened to a report that another municipality has handed over."""
    promise(session, "mirror_handover", municipality_id=municipality_id, report_id=str(report_id))


def after_waiting(session: WriteSession, municipality_id: int, handover_id: UUID) -> None:
    """What follows when whoever has a report has not been asked for a while how far it is."""
    promise(session, "ask_handover", municipality_id=municipality_id, handover_id=str(handover_id))


def after_coming_back(
    session: WriteSession, municipality_id: int, report_id: UUID, handover_id: UUID, why: str
) -> None:
    """What follows when a hand-over has come back to the office, or is late; `why` names the letter's words."""
    letters(
        session,
        municipality_id,
        "handover_back",
        report_id=str(report_id),
        handover_id=str(handover_id),
        why=why,
    )


def after_receiving(
    municipality_id: int,
    report_id: UUID,
    *,
    has_address: bool,
    has_photos: bool,
    has_subscribers: bool = False,
    is_heard: bool = False,
) -> list[Promise]:
    """What follows when a report has come in; `is_heard`: a channel of the staff is told of such."""
    ids = {"municipality_id": municipality_id, "report_id": str(report_id)}
    promises = []
    if has_photos:
        promises.append(Promise("derive_photos", ids))
    if has_address:
        promises.append(Promise("tell_reporter", ids))
    if has_subscribers:
        promises.append(Promise("tell_subscribers", ids))
    if is_heard:
        about = {"what": "arrived", "report_id": str(report_id)}
        promises.append(
            Promise("send_letters", {"municipality_id": municipality_id, "kind": STAFF_CHANNEL, "about": about})
        )
    return promises


def after_passing_on(session: WriteSession, municipality_id: int, report_id: UUID, version: int, **to: int) -> None:
    """What follows when another department, or another crew, answers for a report: `department_id`, `crew_id`.

    `version` is the report's: what comes back to them is heard again.
    """
    if view.held().municipalities[municipality_id].heard & {"arrived", "emergency"}:
        letters(
            session, municipality_id, STAFF_CHANNEL, what="arrived", report_id=str(report_id), version=version, **to
        )


def after_public_change(session: WriteSession, municipality_id: int, report_id: UUID) -> None:
    """What follows when something public happened to a report; nothing where it is history."""
    if session.happened_at is not None:
        return
    promise(session, "tell_reporter", municipality_id=municipality_id, report_id=str(report_id))
    if view.held().municipalities[municipality_id].has_subscribers:
        promise(session, "tell_subscribers", municipality_id=municipality_id, report_id=str(report_id))


def after_entry(session: WriteSession, municipality_id: int, report_id: UUID) -> None:
    """What follows when anything was written into the history of a watched report; nothing where it is history."""
    if session.happened_at is not None:
        return
    promise(session, "tell_watchers", municipality_id=municipality_id, report_id=str(report_id))


def after_hearing(session: WriteSession, municipality_id: int, report_id: UUID) -> None:
    """What follows when a reporter wants to be told otherwise: what has waited may be due now."""
    promise(session, "tell_reporter", municipality_id=municipality_id, report_id=str(report_id))


def after_putting_off(session: WriteSession, actor: str, until: datetime, **arguments: Any) -> None:
    """What follows when somebody is not to be disturbed until then: the same job once more."""
    seconds = (until - datetime.now(UTC)).total_seconds() + A_MOMENT
    promise(session, actor, delay_seconds=seconds, **arguments)


def letters(session: WriteSession, municipality_id: int, kind: str, **about: Any) -> None:
    """Write letters of this kind about this (ids, short values; `report_id` as text); nothing where it is history."""
    if session.happened_at is not None:
        return
    promise(session, "send_letters", municipality_id=municipality_id, kind=kind, about=about)
    home = view.held().municipalities.get(municipality_id)
    if home is not None and kind in home.heard:
        told = {"what": kind, **about}
        promise(session, "send_letters", municipality_id=municipality_id, kind=STAFF_CHANNEL, about=told)


def after_asking_for_password(session: WriteSession, municipality_id: int, reset_id: UUID) -> None:
    """What follows when somebody of the staff wants a new password."""
    promise(session, "send_password_link", municipality_id=municipality_id, reset_id=str(reset_id))


def after_asking_for_code(session: WriteSession, code_id: UUID) -> None:
    """What follows when a citizen wants to sign in with a code."""
    promise(session, "send_citizen_code", priority=URGENT, code_id=str(code_id))


def after_following(session: WriteSession, municipality_id: int, webhook_id: UUID) -> None:
    """What follows when something is to be told to a webhook."""
    promise_once(
        session,
        "send_webhooks",
        webhook_id,
        WEBHOOKS,
        municipality_id=municipality_id,
        webhook_id=str(webhook_id),
    )


def after_gathering(session: WriteSession, municipality_id: int, channel: str) -> None:
    """What follows when letters to subscribers are put down."""
    promise(session, "send_tidings", municipality_id=municipality_id, channel=channel)


def after_resending(session: WriteSession, municipality_id: int, delivery_id: UUID) -> None:
    """What follows when a message that did not arrive is put down once more."""
    promise(session, "send_again", municipality_id=municipality_id, delivery_id=str(delivery_id))


def after_coming_back_by_mail(session: WriteSession) -> None:
    """What follows when mails may lie in the mailbox of those that came back."""
    promise(session, "read_bounces")


def after_telling(session: WriteSession, municipality_id: int, telling_id: int) -> None:
    """What follows when people are to be told of a notice."""
    promise(session, "queue_notice", municipality_id=municipality_id, telling_id=telling_id)
    promise(session, "note_notice", municipality_id=municipality_id, telling_id=telling_id)


def after_queuing(session: WriteSession, municipality_id: int, *, times: int = 1) -> None:
    """What follows when letters of notices are due; so many jobs send them side by side."""
    for _ in range(times):
        promise(session, "send_notices", municipality_id=municipality_id)


def after_dating(session: WriteSession, municipality_id: int, notice_id: UUID) -> None:
    """What follows when a notice's expected day may have become another one."""
    promise(session, "date_reports", municipality_id=municipality_id, notice_id=str(notice_id))


def after_privacy_change(session: WriteSession, municipality_id: int, category: str) -> None:
    """What follows when a category becomes hidden, coarse or public."""
    promise(session, "republish_category", municipality_id=municipality_id, category=category)


def after_republishing(session: WriteSession, municipality_id: int, category_id: int) -> None:
    """What follows when the reports of a category have become as public as it has."""
    row = session.raw.execute("SELECT pg_current_xact_id()::text::bigint").fetchone()
    assert row is not None
    promise(session, "note_category", municipality_id=municipality_id, category_id=category_id, change=row[0])


def after_ladder_change(session: WriteSession, municipality_id: int) -> None:
    """What follows when a municipality has another ladder."""
    promise(session, "wind_clocks", municipality_id=municipality_id)
