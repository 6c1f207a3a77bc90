"""Which department answers: the most specific rule, then the higher priority; never silently.

Specific means, in this order: category before group before any; one zone before any zone of a layer before anywhere;
a time window before always; the municipality's own rule before the province's; then the explicit priority. Two rules
that still tie, or a rule that names a department or crew that is not there, send the report to a person, with the
reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any

from city.registry.municipality import CategoryView, CrewView, DepartmentView, MunicipalityView, RuleView, ZoneView


@dataclass(frozen=True, slots=True)
class Routing:
    """A department and why; `problem` is the catalogue key of what went wrong, if something did."""

    department: DepartmentView
    crew: CrewView | None
    rule: RuleView | None
    facts: dict[str, Any]
    problem: str | None = None

    def as_json(self) -> dict[str, Any]:
        """As kept in the report and shown to staff: rule, version and the facts used."""
        rule = self.rule
        return {
            "rule": rule.id if rule else None,
            "version": rule.version if rule else None,
            "inherited": not rule.is_own if rule else None,
            "note": {"it": rule.note.it, "en": rule.note.en} if rule and rule.note else None,
            "facts": self.facts,
            "problem": self.problem,
        }


def route(
    municipality: MunicipalityView, category: CategoryView, zones: Sequence[ZoneView], moment: datetime
) -> Routing:
    """The department for `category` in `zones` at `moment` (aware)."""
    local = municipality.local(moment)
    facts: dict[str, Any] = {
        "category": category.slug,
        "group": category.group.slug,
        "zones": [zone.path for zone in zones],
        "local_time": local.strftime("%Y-%m-%dT%H:%M"),
    }
    fitting = [rule for rule in municipality.rules if fits(rule, category, zones, local)]
    if not fitting:
        return Routing(municipality.fallback, None, None, facts)
    rank = max(specificity(rule) for rule in fitting)
    best = [rule for rule in fitting if specificity(rule) == rank]
    if len(best) > 1:
        facts["tied_rules"] = [rule.id for rule in best]
        return Routing(municipality.fallback, None, None, facts, problem="routing.tie")
    rule = best[0]
    department = municipality.departments.get(rule.department)
    if department is None:
        facts["missing_department"] = rule.department
        return Routing(municipality.fallback, None, rule, facts, problem="routing.no_department")
    crew = municipality.crews.get(rule.crew) if rule.crew else None
    if rule.crew and crew is None:
        facts["missing_crew"] = rule.crew
        return Routing(department, None, rule, facts, problem="routing.no_crew")
    return Routing(department, crew, rule, facts)


def specificity(rule: RuleView) -> tuple[int, int, int, bool, int]:
    """How special a rule is; the higher wins."""
    subject = 2 if rule.category else 1 if rule.group else 0
    where = 2 if rule.zone else 1 if rule.layer else 0
    when = 1 if rule.days or rule.starts_at else 0
    return subject, where, when, rule.is_own, rule.priority


def fits(rule: RuleView, category: CategoryView, zones: Sequence[ZoneView], local: datetime) -> bool:
    """Whether the rule speaks of this category, these zones and this wall-clock time."""
    if rule.category is not None and rule.category != category.slug:
        return False
    if rule.group is not None and rule.group != category.group.slug:
        return False
    if rule.layer is not None and not any(
        zone.layer == rule.layer and rule.zone in (None, zone.code) for zone in zones
    ):
        return False
    return _in_window(rule, local)


def _in_window(rule: RuleView, local: datetime) -> bool:
    if rule.starts_at is None or rule.ends_at is None:
        return not rule.days or local.isoweekday() in rule.days
    now = local.time()
    if rule.starts_at < rule.ends_at:
        return rule.starts_at <= now < rule.ends_at and (not rule.days or local.isoweekday() in rule.days)
    # Past midnight the window belongs to the day on which it began.
    if now >= rule.starts_at:
        return not rule.days or local.isoweekday() in rule.days
    yesterday = (local.isoweekday() - 2) % 7 + 1
    return now < rule.ends_at and (not rule.days or yesterday in rule.days)


def may_tie(one: RuleView, other: RuleView, zones_overlap: bool) -> bool:
    """Whether two rules of one owner could both be the most specific for some report."""
    return (
        specificity(one) == specificity(other)
        and one.category == other.category
        and one.group == other.group
        and zones_overlap
        and _windows_meet(one, other)
    )


def _windows_meet(one: RuleView, other: RuleView) -> bool:
    return not minutes_of(one).isdisjoint(minutes_of(other))


def minutes_of(rule: RuleView) -> frozenset[int]:
    """The minutes of a week (0 is Monday 00:00) in which the rule counts."""
    begin, end = _minute(rule.starts_at), _minute(rule.ends_at)
    length = (end - begin) % 1440 or 1440
    days = rule.days or range(1, 8)
    return frozenset(((day - 1) * 1440 + begin + step) % 10080 for day in days for step in range(length))


def _minute(moment: time | None) -> int:
    return moment.hour * 60 + moment.minute if moment else 0
