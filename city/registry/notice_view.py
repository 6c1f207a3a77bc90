"""The published notices of a municipality as a process holds them: which of them are running at a place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import shapely

from geo.place import Place
from geo.zones import ZoneIndex, ZoneShape


def both(it: str, en: str) -> dict[str, str]:
    """A notice's words in both languages: where one is missing, the other."""
    return {"it": it or en, "en": en or it}


@dataclass(frozen=True, slots=True)
class NoticeView:
    """A published notice, without its shape."""

    number: str
    kind: str
    title_it: str
    title_en: str
    groups: frozenset[str] | None
    starts_at: datetime
    ends_at: datetime | None

    def concerns(self, moment: datetime, group: str | None) -> bool:
        """Whether it is running at `moment` and about categories of `group` (None: of any)."""
        if moment < self.starts_at or (self.ends_at is not None and moment >= self.ends_at):
            return False
        return self.groups is None or group is None or group in self.groups

    def as_json(self) -> dict[str, Any]:
        """What whoever reports something there is told."""
        return {
            "number": self.number,
            "kind": self.kind,
            "title": both(self.title_it, self.title_en),
            "starts_at": self.starts_at.isoformat(),
            "ends_at": self.ends_at.isoformat() if self.ends_at else None,
        }


@dataclass(frozen=True, slots=True)
class Notices:
    """The published notices of one municipality; few, so a place is compared with their boxes first."""

    known: tuple[NoticeView, ...] = ()
    index: ZoneIndex = field(default_factory=lambda: ZoneIndex([]), repr=False)

    def told_at(self, place: Place, moment: datetime, group: str | None = None) -> list[dict[str, Any]]:
        """Those running at this place and moment, about this category group, in the order they begin; as JSON."""
        near = [self.known[key] for key in self.index.holding(place)]
        return [notice.as_json() for notice in near if notice.concerns(moment, group)]


def notices_of(rows: Iterable[Mapping[str, Any]]) -> Notices:
    """The notices in these rows of `notice`."""
    taken = sorted(rows, key=lambda row: (row["starts_at"], row["id"]))
    if not taken:
        return Notices()
    known = tuple(
        NoticeView(
            number=row["number"],
            kind=row["kind"],
            title_it=row["title_it"],
            title_en=row["title_en"],
            groups=frozenset(row["groups"]) if row["groups"] else None,
            starts_at=row["starts_at"],
            ends_at=row["ends_at"],
        )
        for row in taken
    )
    shapes = [ZoneShape(key, shapely.from_wkb(row["shape"])) for key, row in enumerate(taken)]
    return Notices(known, ZoneIndex(shapes))
