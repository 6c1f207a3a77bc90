"""Ids made by us: UUID version 7 (RFC 9562), so that what is made later sorts later and indexes stay compact.

And the public number, which people write by hand.
"""

from __future__ import annotations

import os
import re
import time
from typing import Final
from uuid import UUID, uuid5

from city.errors import NotFound

_NUMBER: Final = re.compile(r"[A-Z][A-Z0-9]{1,7}-[0-9]{4}-[0-9]{1,18}")


def new_id() -> UUID:
    """48 bits of milliseconds since 1970, then randomness."""
    return _id(time.time_ns() // 1_000_000, os.urandom(10))


def new_ids(count: int) -> list[UUID]:
    """Many, in ascending order."""
    moment, chance = time.time_ns() // 1_000_000, os.urandom(10 * count)
    return [_id(moment, ten) for ten in sorted(chance[start : start + 10] for start in range(0, len(chance), 10))]


def _id(milliseconds: int, chance: bytes) -> UUID:
    value = milliseconds << 80 | int.from_bytes(chance)
    value = value & ~(0xF << 76) | 0x7 << 76
    return UUID(int=value & ~(0x3 << 62) | 0x2 << 62)


def id_from(space: UUID, thing: UUID) -> UUID:
    """The id that `thing` has in `space`: always the same one (UUID version 5)."""
    return uuid5(space, str(thing))


def public_number(written: str) -> str:
    """The number `written` stands for, `PS-2026-184`, in capitals. Raises NotFound for what cannot be one."""
    number = written.strip().upper()
    if not _NUMBER.fullmatch(number):
        raise NotFound("reports.not_found", value=written)
    return number
