"""What a crew's tablet offers to choose from: reasons why a job cannot be done, and materials."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from city.errors import InvalidInput
from city.texts import text


@cache
def _offered() -> dict[str, Any]:
    return tomllib.loads((Path(__file__).parent / "field_form.toml").read_text("utf-8"))


def reasons() -> list[str]:
    """The slugs of the reasons."""
    return list(_offered()["reasons"])


def units() -> list[str]:
    """In what materials are counted."""
    return list(_offered()["units"])


def reason_in_words(slug: str, language: str) -> str:
    """A reason as the reporter reads it. Raises InvalidInput."""
    if slug not in reasons():
        raise InvalidInput("crew.unknown_reason", field="reason", value=slug[:80], known=", ".join(reasons()))
    return text(f"crew.reason.{slug}", language=language)


def form() -> dict[str, Any]:
    """All of it, as JSON values: `reasons`, `units`, and `materials` with the group each is for (None: all)."""
    return {
        "reasons": [{"slug": slug, "name": _named(f"crew.reason.{slug}")} for slug in reasons()],
        "units": units(),
        "materials": [
            {
                "slug": slug,
                "group": None if group == "all" else group,
                "unit": unit,
                "name": _named(f"crew.material.{slug}"),
            }
            for group, materials in _offered()["materials"].items()
            for slug, unit in materials.items()
        ],
    }


def _named(key: str) -> dict[str, str]:
    return {language: text(key, language=language) for language in ("it", "en")}
