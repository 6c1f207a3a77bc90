"""Internal notes, and the colleagues they name: `@handle`, the part of a colleague's address before its @."""

from __future__ import annotations

import re
from collections import defaultdict
from difflib import get_close_matches
from enum import StrEnum
from typing import Final

from city.errors import InvalidInput
from city.registry.staff.colleagues import colleagues, handle
from city.registry.staff.people import Right, Staff
from city.reports import attention
from city.reports.changing import Desk
from city.reports.desk_tables import Mention
from city.reports.tables import Report, TimelineEntry
from city.reports.timeline import note_down

_NAMED: Final = re.compile(r"(?<![\w.@])@([A-Za-z0-9][\w.+-]*)")
MOST_NAMED: Final = 20


class Unknown(StrEnum):
    """What becomes of a note that names somebody whom nobody knows, or who may not read the report."""

    REFUSE = "refuse"
    KEEP = "keep"


def handles(words: str) -> list[str]:
    """The names after an @, in small letters, each once; an e-mail address is none."""
    found = (match.rstrip(".+-_").lower() for match in _NAMED.findall(words))
    return list(dict.fromkeys(name for name in found if name))


def write_note(
    desk: Desk, report: Report, words: str, *, unknown: Unknown = Unknown.KEEP, field: str = "text"
) -> TimelineEntry:
    """Put an internal note into the locked report's history, and write to those it names.

    Raises InvalidInput (naming `field`) for a name that nobody bears or whose bearer may not read the report, unless it
    is to be kept as mere words.
    """
    people = _meant(desk, report, handles(words), unknown, field)
    entry = note_down(desk.session, report, "note", staff=desk.staff, is_public=False, note=words)
    for person in people:
        desk.session.add(
            Mention(
                municipality_id=report.municipality_id,
                person_id=person.person_id,
                entry_id=entry.id,
                report_id=report.id,
            )
        )
        attention.ask(desk, "mentioned", person.person_id, entry)
    return entry


def _meant(desk: Desk, report: Report, names: list[str], unknown: Unknown, field: str) -> list[Staff]:
    """Whom the names mean, but oneself."""
    if not names:
        return []
    if len(names) > MOST_NAMED:
        if unknown is Unknown.REFUSE:
            raise InvalidInput("mentions.too_many", field=field, most=MOST_NAMED)
        names = names[:MOST_NAMED]
    known: dict[str, list[Staff]] = defaultdict(list)
    for colleague in colleagues(desk.session, desk.municipality):
        known[handle(colleague)].append(colleague)
    meant: list[Staff] = []
    for name in names:
        able = [one for one in known.get(name, ()) if one.may(Right.READ, report, desk.municipality)]
        if not able and unknown is Unknown.REFUSE:
            if name in known:
                raise InvalidInput("mentions.cannot_read", field=field, name=name)
            near = ", ".join(f"@{one}" for one in get_close_matches(name, known, n=3, cutoff=0.5)) or "-"
            raise InvalidInput("mentions.unknown", field=field, name=name, near=near)
        meant += able
    return [colleague for colleague in meant if colleague.person_id != desk.staff.person_id]
