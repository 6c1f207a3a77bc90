"""Fiscal codes of people: 16 letters and digits, of which the last is made from the others.

Where two people would have the same, digits are replaced by letters (*omocodia*), the last first: such a code is as
good as any. Made by the rules of the decree of 23 December 1976 (Gazzetta Ufficiale 345).
"""

from __future__ import annotations

import re
from typing import Final

from city import sealing
from city.digests import keyed
from city.errors import InvalidInput

LONGEST: Final = 20
_PURPOSE: Final = "fiscal code"
_FOR_DIGITS: Final = "LMNPQRSTUV"
_DIGIT: Final = f"[0-9{_FOR_DIGITS}]"
_SHAPE: Final = re.compile(f"[A-Z]{{6}}{_DIGIT}{{2}}[ABCDEHLMPRST]{_DIGIT}{{2}}[A-Z]{_DIGIT}{{3}}[A-Z]")
_ODD: Final = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)
"""What a letter counts in the first, third, … place; a digit counts as the letter of that number."""
_LAST_DAY: Final = 31
_WOMEN_FROM: Final = 40


def checked(code: str) -> str:
    """The code in capitals. Raises InvalidInput (field `fiscal_code`) where nobody can have it."""
    plain = "".join(code.split()).upper()
    is_one = _SHAPE.fullmatch(plain) and 1 <= _day(plain) <= _LAST_DAY and check_letter(plain[:15]) == plain[15]
    if not is_one:
        raise InvalidInput("shape.fiscal_code", field="fiscal_code")
    return plain


def check_letter(first: str) -> str:
    """The letter that belongs to the first 15."""
    total = 0
    for place, sign in enumerate(first):
        number = int(sign) if sign.isdigit() else ord(sign) - ord("A")
        total += number if place % 2 else _ODD[number]
    return chr(ord("A") + total % 26)


def sealed(code: str) -> bytes:
    """A code as it is kept."""
    return sealing.sealed(code, _PURPOSE)


def unsealed(kept: bytes) -> str:
    """The code again. Raises Unavailable where the installation's secret is another one now."""
    return sealing.unsealed(kept, _PURPOSE)


def alias(code: str) -> str:
    """What stands for a code where it need not be known: the few possible codes cannot be tried against it."""
    return keyed(_PURPOSE, code.encode()).hex()


def _day(code: str) -> int:
    digits = [sign if sign.isdigit() else str(_FOR_DIGITS.index(sign)) for sign in code[9:11]]
    day = int("".join(digits))
    return day - _WOMEN_FROM if day > _WOMEN_FROM else day
