"""The whole demo province."""

from __future__ import annotations

from dataclasses import dataclass

from commands.seeding import people, registry, reports
from commands.seeding.files import Progress, toml


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the demo holds, and whether this run loaded it."""

    municipalities: int
    reports: int
    people: int
    is_new: bool


def load_demo(progress: Progress, *, password: str) -> Loaded:
    """Load the demo province; a second time nothing changes, but for `password`, which holds for every demo account."""
    lines = reports.told()
    if reports.is_complete(lines):
        accounts = people.renew_password(password)
        return Loaded(len(toml("province")["municipality"]), len(lines), accounts, is_new=False)
    progress("seeding.registry", 0.0)
    municipalities, accounts = registry.load_registry(password)
    progress("seeding.registry", 1.0)
    reports.put_reports(lines, progress)
    return Loaded(municipalities, len(lines), accounts, is_new=True)
