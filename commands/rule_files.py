"""Routing rules in a TOML file, in the form of `seed/rules.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import time
from pathlib import Path
from typing import Any, Final

from city.errors import InvalidInput
from city.reports.rules import RuleFields

DAYS: Final = {"mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6, "sun": 7}
KEYS: Final = frozenset(
    [
        "owner",
        "municipalities",
        "category",
        "group",
        "zone",
        "layer",
        "days",
        "from",
        "until",
        "department",
        "crew",
        "priority",
        "note",
    ]
)


def read_rules(path: Path, owner: str) -> dict[str, list[RuleFields]]:
    """The rules of the file by their owner's slug; a rule without an owner is `owner`'s.

    Raises InvalidInput, naming the rule by its place in the file.
    """
    try:
        given = tomllib.loads(path.read_text("utf-8")).get("rule")
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidInput("rehearsal.unreadable", field="rules", path=path.name, problem=str(error)) from error
    if not isinstance(given, list) or not given:
        raise InvalidInput("rehearsal.no_rules", field="rules", path=path.name)
    found: dict[str, list[RuleFields]] = {}
    for number, rule in enumerate(given, start=1):
        unknown = sorted(set(rule) - KEYS)
        if unknown or "department" not in rule:
            problem = ", ".join(unknown) or "department?"
            raise InvalidInput("rehearsal.bad_rule", field=f"rules.{number}", number=number, problem=problem)
        try:
            fields = fields_of(rule)
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise InvalidInput(
                "rehearsal.bad_rule", field=f"rules.{number}", number=number, problem=str(error)
            ) from error
        found.setdefault(str(rule.get("owner", owner)), []).append(fields)
    return found


def fields_of(given: Mapping[str, Any]) -> RuleFields:
    """One rule of the file. Raises KeyError, ValueError."""
    layer, _, zone = given["zone"].partition("/") if "zone" in given else (given.get("layer"), "", "")
    note = given.get("note", {})
    return RuleFields(
        department=given["department"],
        category=given.get("category"),
        group=given.get("group"),
        layer=layer,
        zone=zone or None,
        days=[DAYS[day] for day in given.get("days", [])],
        starts_at=time.fromisoformat(given["from"]) if "from" in given else None,
        ends_at=time.fromisoformat(given["until"]) if "until" in given else None,
        crew=given.get("crew"),
        priority=given.get("priority", 0),
        municipalities=given.get("municipalities", []),
        note_it=note.get("it"),
        note_en=note.get("en"),
    )
