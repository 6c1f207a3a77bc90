"""The kinds of letters, by the name under which `journey` promises them."""

from __future__ import annotations

from typing import Final

from city.messages import dialogue, escalated, field_letters, staff_channels, staff_letters
from city.messages.hooks import letters
from city.messages.outside_kinds import OUTSIDE_KINDS
from city.messages.posting import Kind
from city.messages.subscriptions import question

KINDS: Final[dict[str, Kind]] = OUTSIDE_KINDS | {
    "answered": dialogue.ANSWERED,
    "assigned": staff_letters.ASSIGNED,
    "escalated": escalated.ESCALATED,
    "mentioned": staff_letters.MENTIONED,
    "question_reminder": dialogue.REMINDER,
    "reopened": dialogue.REOPENED,
    "unanswered": dialogue.UNANSWERED,
    "staff_channel": Kind(staff_channels.hearers, staff_channels.compose),
    "staff_channel_try": Kind(staff_channels.tried, staff_channels.trial),
    "subscription": question.CONFIRMATION,
    "decision_overturned": field_letters.OVERTURNED,
    "webhook_off": letters.WEBHOOK_OFF,
}
