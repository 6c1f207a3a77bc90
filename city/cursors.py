"""Where the next page of a list begins, as a word that clients send back and nobody need understand."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson

from city.errors import InvalidInput


def made(*values: Any) -> str:
    """The cursor that stands for these values of the last row shown."""
    return base64.urlsafe_b64encode(orjson.dumps(values)).decode().rstrip("=")


def read(cursor: str, *kinds: Callable[[Any], Any]) -> list[Any]:
    """The values that a cursor stands for, each made what it was by its kind. Raises InvalidInput."""
    try:
        values = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        return [kind(value) for kind, value in zip(kinds, values, strict=True)]
    except (ValueError, TypeError, OverflowError, binascii.Error, AttributeError) as error:
        raise InvalidInput("reports.bad_cursor", field="cursor") from error


def moment(value: str) -> datetime:
    """A moment, in UTC."""
    return datetime.fromisoformat(value).astimezone(UTC)
