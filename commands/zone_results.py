"""What the operator sees of zones: which layers there are, their faults, and what a new version changes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from city.database import ReadSession
from city.registry import publishing, versions
from city.registry.municipality import RuleView
from city.registry.tables import LayerPublication
from city.reports.coverage import Uncovered
from city.texts import operator_language, said
from commands import zone_pictures
from commands.import_results import faults_table, figure, print_json, size_of
from commands.zone_changes import Compared
from commands.zone_checks import Checked, LayerCheck, RulesCheck, by_ground, publication_json
from geo.picture import Picture
from geo.zone_changes import Change, Share

MOST_NAMED: Final = 6


def show_list(session: ReadSession, owner: str | None, day: date, *, as_json: bool) -> None:
    """The layers with their zones, versions and publications."""
    table = Table(title_justify="left", show_lines=True)
    table.add_column(said("zones.column_layer"), no_wrap=True)
    table.add_column(said("zones.column_zones"), justify="right", no_wrap=True)
    table.add_column(said("zones.column_since"), no_wrap=True)
    table.add_column(said("zones.column_published"), overflow="fold")
    rows = []
    for owned in versions.layers(session, owner):
        layer, last = owned.layer, next(iter(publishing.publications(session, owned.layer)), None)
        count = len(versions.zones_on(session, layer, day))
        since = max((one for one in versions.days_of_change(session, layer) if one <= day), default=None)
        name = zone_pictures.called(owned)
        rows.append(
            {
                "owner": owned.owner.slug,
                "layer": layer.slug,
                "name": name,
                "kind": layer.kind,
                "zones": count,
                "since": since,
                "tolerance_metres": layer.tolerance_metres,
                "published": publication_json(last),
            }
        )
        called = f"{layer.slug}\n{owned.owner.name}\n{name}"
        words = _published(last)
        if layer.tolerance_metres:
            words += "\n" + said("zones.tolerant", metres=figure(layer.tolerance_metres))
        table.add_row(called, figure(count), str(since or "–"), words)
    if as_json:
        print_json(rows)
        return
    table.title = said("zones.list_title", count=len(rows))
    _console().print(table)


def _published(publication: LayerPublication | None) -> str:
    if publication is None:
        return "–"
    when = publication.published_at.strftime("%Y-%m-%d")
    found = said("zones.published", by=publication.published_by, day=when)
    found += f"\n{publication.source}" if publication.source else ""
    if publication.accepted_because:
        found += "\n" + said("zones.accepted", reason=publication.accepted_because)
    return found


# --- check -----------------------------------------------------------------------------------------------------------


def show_check(checked: Checked, *, as_json: bool) -> None:
    """What a check found."""
    if as_json:
        print_json(checked.as_json())
        return
    for layer in checked.layers:
        _show_layer(layer)
    for rules in checked.rules:
        _show_rules(rules)
    _console().print(said("zones.all_clean" if checked.is_clean else "zones.has_faults"), style="bold")


def _show_layer(layer: LayerCheck) -> None:
    console = _console()
    title = said(
        "zones.layer_title", owner=layer.owned.owner.name, layer=layer.owned.layer.slug, count=figure(len(layer.areas))
    )
    if layer.faults.is_clean:
        console.print(f"✓ {title}")
        return
    console.print(f"{'✗' if layer.faults.serious() else '!'} {title}", style="bold")
    console.print(faults_table(layer.faults))
    if layer.last is not None and layer.last.accepted_because:
        console.print(_published(layer.last), soft_wrap=True)


def _show_rules(rules: RulesCheck) -> None:
    console = _console()
    title = said("zones.rules_title", name=rules.municipality.name, count=figure(len(rules.municipality.rules)))
    if rules.is_clean:
        console.print(f"✓ {title}")
        return
    console.print(f"✗ {title}", style="bold")
    language = operator_language()
    if rules.uncovered:
        table = Table(title=said("zones.without_department"), title_justify="left", show_lines=True)
        for column in ("categories", "where", "size", "when"):
            table.add_column(said(f"zones.column_{column}"), overflow="fold")
        for _, found in by_ground(rules.uncovered):
            names = [one.category.name(language) for one in found]
            table.add_row(_some(names), _where(found[0]), size_of(found[0].m2), _when(found[0]))
        console.print(table)
    for one in rules.dangling:
        console.print(said(f"zones.dangling_{one.what}", rule=_rule(one.rule), name=one.name), soft_wrap=True)
    for one_rule, other in rules.ties:
        console.print(said("zones.tie", one=_rule(one_rule), other=_rule(other)), soft_wrap=True)


def _where(found: Uncovered) -> str:
    if found.is_everywhere:
        return said("zones.everywhere")
    return _some([zone.name for zone in found.zones]) or said("zones.between")


def _when(found: Uncovered) -> str:
    return said("zones.always") if found.is_always else said("zones.hours", hours=figure(found.minutes / 60, 1))


def _rule(rule: RuleView) -> str:
    return f"{rule.id} ({rule.note(operator_language())})" if rule.note else f"{rule.id}"


# --- diff ------------------------------------------------------------------------------------------------------------


def show_changes(compared: Compared, *, as_json: bool) -> None:
    """What becomes of each zone."""
    if as_json:
        print_json(compared.as_json())
        return
    console = _console()
    console.print(_title(compared), style="bold")
    console.print(_subtitle(compared))
    if not compared.changes:
        console.print(said("zones.no_change"))
        return
    table = Table(show_lines=True)
    for column in ("zone", "change", "gained", "lost"):
        table.add_column(said(f"zones.column_{column}"), overflow="fold")
    for change in compared.changes:
        table.add_row(
            f"{change.area.code}  {change.area.name}", _kinds(change), _shares(change.gained), _shares(change.lost)
        )
    console.print(table)


def picture_of(compared: Compared) -> Picture:
    """The change as a picture."""
    return zone_pictures.of_changes(
        compared.old, compared.new, compared.changes, title=_title(compared), subtitle=_subtitle(compared)
    )


def _title(compared: Compared) -> str:
    return said("zones.diff_title", owner=compared.owned.owner.name, layer=zone_pictures.called(compared.owned))


def _subtitle(compared: Compared) -> str:
    after = compared.after.name if isinstance(compared.after, Path) else compared.after.isoformat()
    return said(
        "zones.diff_between",
        before=compared.before.isoformat(),
        after=after,
        old=figure(len(compared.old)),
        new=figure(len(compared.new)),
        changed=figure(len(compared.changes)),
    )


def _kinds(change: Change) -> str:
    values = {"old": change.old.name if change.old else "", "code": change.old.code if change.old else ""}
    return "\n".join(said(f"zones.change_{kind}", **values) for kind in change.kinds)


def _shares(shares: Sequence[Share]) -> str:
    """How much, and whose it was or is; the most first."""
    if not shares:
        return "–"
    lines = [f"{size_of(share.m2)}  {share.other or said('zones.nobody')}" for share in shares[:MOST_NAMED]]
    if len(shares) > 1:
        lines.insert(0, said("zones.together", size=size_of(sum(share.m2 for share in shares))))
    return "\n".join(lines)


def _some(names: Sequence[str]) -> str:
    more = [said("importing.more", count=len(names) - MOST_NAMED)] if len(names) > MOST_NAMED else []
    return ", ".join([*names[:MOST_NAMED], *more])


def _console() -> Console:
    return Console(markup=False, highlight=False)
