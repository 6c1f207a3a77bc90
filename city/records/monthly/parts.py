"""The parts of the monthly report in one language: sentences, tables, charts and maps, ready to be laid out."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from typing import Final

from city.database import ReadSession
from city.records.insight.ageing import CLASSES
from city.records.insight.figures import FEW, FIGURES
from city.records.insight.insight import LEAST, Period, months_later
from city.records.insight.lines import home
from city.records.insight.wording import Wording
from city.records.monthly import charts, sheets
from city.records.monthly.charts import Bar, Pair
from city.records.monthly.monthly import Compared, Monthly, departments_of, is_narrowed
from city.records.monthly.sheets import Sheet, Subject

MAP_WIDTH: Final = 800
SHORT: Final = 16
"""Rows of a table that is not broken by the end of a page."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A number that stands out, what it is, and how it was before."""

    label: str
    value: str
    notes: list[str]


@dataclass(frozen=True, slots=True)
class Table:
    """Heads and rows of words; the first column names the row."""

    caption: str
    heads: list[str]
    rows: list[list[str]]
    note: str = ""
    """What is said below it."""

    @property
    def is_short(self) -> bool:
        """Whether it has room on one page, and so is not broken."""
        return len(self.rows) <= SHORT


@dataclass(frozen=True, slots=True)
class Image:
    """A drawing and what it shows, for whoever does not see it."""

    svg: bytes
    alt: str
    is_map: bool = False

    @property
    def source(self) -> str:
        """The drawing within the page."""
        return f"data:image/svg+xml;base64,{base64.b64encode(self.svg).decode()}"


@dataclass(frozen=True, slots=True)
class Section:
    """A chapter: heading, sentences, drawings, tables."""

    heading: str
    text: list[str] = field(default_factory=list)
    images: list[Image] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Report:
    """The whole report."""

    language: str
    municipality: str
    title: str
    audience: str
    state: str
    sentences: list[str]
    tiles: list[Tile]
    sections: list[Section]
    notes: list[str]
    footer: str


def report(session: ReadSession, seen: Monthly, language: str) -> Report:
    """The report in `language`."""
    return _Writer(session, seen, Wording(language)).report()


@dataclass(frozen=True, slots=True)
class _Writer:
    session: ReadSession
    seen: Monthly
    words: Wording

    def report(self) -> Report:
        seen, words = self.seen, self.words
        said = words.said
        municipality = home(seen.scope).name
        month = words.month(seen.month.first)
        own = departments_of(seen.scope)
        audience = said("audience_public" if seen.scope.is_public else "audience_staff")
        if own is not None:
            names = ", ".join(department.name(words.language) for department in own) or "–"
            audience = f"{audience} {said('audience_own', departments=names)}"
        if is_narrowed(seen.scope):
            audience = f"{audience} {said('audience_narrowed')}"
        return Report(
            language=words.language,
            municipality=municipality,
            title=said("title", municipality=", ".join([municipality, *self._chosen()]), month=month),
            audience=audience,
            state=said("state", day=words.day(seen.now.astimezone(seen.month.zone).date())),
            sentences=self._sentences(),
            tiles=self._tiles(),
            sections=[
                self._numbers(),
                self._flow(),
                self._open(),
                self._lines("department", seen.departments),
                self._groups(),
                *self._zones(),
            ],
            notes=[said(key, least=LEAST) for key in self._note_keys()],
            footer=said("footer", municipality=municipality, month=month),
        )

    def _chosen(self) -> list[str]:
        """Whose reports and of which kind, where it is not all of them."""
        sieve, here, language = self.seen.sieve, home(self.seen.scope), self.words.language
        found = [here.department(sieve.department).name(language)] if sieve.department else []
        found += [self.seen.scope.groups[sieve.group].name(language)] if sieve.group else []
        return [*found, here.category(sieve.category).name(language)] if sieve.category else found

    def _note_keys(self) -> list[str]:
        few = "note_few" if self.seen.scope.is_public else "note_few_staff"
        return ["note_cohort", few, "note_medians", "note_late", "note_confirmed", "note_not_reached"]

    # --- in short ----------------------------------------------------------------------------------------------------

    def _sentences(self) -> list[str]:
        words, seen = self.words, self.seen
        said, now = words.said, seen.total.now
        months = {"before": words.month(seen.flow[-2]["first"]), "year": words.month(seen.flow[0]["first"])}
        found = [
            said("received", count=words.figure("received", now))
            + self._beside(now["received"], seen.total.before["received"], seen.total.year["received"], months)
        ]
        if now["answer_median_hours"] is not None:
            median = words.wait(now["answer_median_hours"])
            tail = now["answer_p90_hours"]
            found.append(
                said("answered_both", median=median, most=words.wait(tail))
                if tail is not None
                else said("answered_half", median=median)
            )
        solved = seen.flow[-1]["solved"]
        if solved:
            found.append(said("solved", count=words.number(solved)))
        found.append(self._lying())
        if now["confirmed_share"]:
            found.append(said("confirmed", share=words.share(now["confirmed_share"])))
        return found

    def _beside(self, now: int | None, before: int | None, year: int | None, months: dict[str, str]) -> str:
        """How a number compares, in brackets; empty where there is nothing to compare with."""
        parts = [
            self.words.said("than", change=self.words.change(now, then), month=months[when])
            for when, then in (("before", before), ("year", year))
            if then and now is not None
        ]
        return f" ({', '.join(parts)})." if parts else "."

    def _lying(self) -> str:
        words, lying = self.words, self.seen.open
        key = "lying" if self.seen.is_over else "lying_now"
        found = words.said(key, count=words.count(lying["open"]))
        if lying["late"]:
            found += words.said("lying_late", count=words.number(lying["late"]))
        found += "."
        if lying["oldest_days"] is not None:
            found += " " + words.said("oldest", age=words.days(lying["oldest_days"]))
        return found

    def _tiles(self) -> list[Tile]:
        seen, words = self.seen, self.words
        now, before, year = seen.total.now, seen.total.before, seen.total.year
        last, last_before, last_year = seen.flow[-1], seen.flow[-2], seen.flow[0]

        def notes(of_before: str, of_year: str | None) -> list[str]:
            found = [words.said("tile_before", value=of_before)]
            return found if of_year is None else [*found, words.said("tile_year", value=of_year)]

        return [
            Tile(
                words.said("tile_received"),
                words.figure("received", now),
                notes(words.figure("received", before), words.figure("received", year)),
            ),
            Tile(
                words.said("tile_solved"),
                words.count(last["solved"]),
                notes(words.count(last_before["solved"]), words.count(last_year["solved"])),
            ),
            Tile(
                words.said("tile_open" if seen.is_over else "tile_open_now"),
                words.count(seen.open["open"]),
                notes(words.count(seen.open_before["open"]), None),
            ),
            Tile(
                words.said("tile_answer"),
                words.figure("answer_median_hours", now),
                notes(words.figure("answer_median_hours", before), words.figure("answer_median_hours", year)),
            ),
            Tile(
                words.said("tile_solve"),
                words.figure("solve_median_hours", now),
                notes(words.figure("solve_median_hours", before), words.figure("solve_median_hours", year)),
            ),
        ]

    # --- sections ----------------------------------------------------------------------------------------------------

    def _numbers(self) -> Section:
        words, total = self.words, self.seen.total
        rows = [
            [
                words.said(f"figure_{name}"),
                *(words.figure(name, period) for period in (total.now, total.before, total.year)),
            ]
            for name in FIGURES
        ]
        heads = [words.said("head_figure"), *(words.month(first).capitalize() for first in self._three_months())]
        return Section(words.said("section_numbers"), tables=[Table(words.said("caption_numbers"), heads, rows)])

    def _three_months(self) -> tuple[date, date, date]:
        return self.seen.month.first, self.seen.flow[-2]["first"], self.seen.flow[0]["first"]

    def _flow(self) -> Section:
        words = self.words
        pairs = [Pair(words.short_month(row["first"]), row["received"], row["solved"]) for row in self.seen.flow]
        legend = (words.said("tile_received"), words.said("tile_solved"))
        heads = [words.said("head_month"), *legend, words.said("head_reopened")]
        rows = [
            [
                words.month(row["first"]).capitalize(),
                *(words.count(row[name]) for name in ("received", "solved", "reopened")),
            ]
            for row in self.seen.flow
        ]
        chart = charts.columns(words.said("chart_flow"), pairs, legend, words.missing(FEW))
        return Section(
            words.said("section_flow"),
            [words.said("text_flow")],
            [Image(chart.encode(), words.said("chart_flow"))],
            [Table(words.said("caption_flow"), heads, rows)],
        )

    def _open(self) -> Section:
        words, seen = self.words, self.seen
        classes = [words.said("age_first", days=CLASSES[0])]
        classes += [words.said("age_middle", first=first, last=last - 1) for first, last in pairwise(CLASSES)]
        classes.append(words.said("age_last"))
        told = [row for row in seen.open_by_department if row["open"] is not None]
        untold = [row["name"][words.language] for row in seen.open_by_department if row["open"] is None]
        rows = [(row["name"][words.language], row) for row in (seen.open, *told)]
        heads = [
            words.said("head_department"),
            words.said("head_open"),
            words.said("head_late"),
            *classes,
            words.said("head_median_age"),
            words.said("head_oldest"),
        ]
        ages = ("median_days", "oldest_days")
        table = [
            [
                name,
                words.count(row["open"]),
                words.count(row["late"]),
                *(words.count(number) for number in row["classes"]),
                *("" if row[age] is None else words.number(row[age]) for age in ages),
            ]
            for name, row in rows
        ]
        day = words.day(seen.last_day)
        chart = charts.stacks(
            words.said("chart_open"),
            [(name, row["classes"], words.count(row["open"])) for name, row in rows[1:]],
            classes,
        )
        images = [Image(chart.encode(), words.said("chart_open"))] if len(rows) > 1 else []
        return Section(
            words.said("section_open", day=day),
            [words.said("text_open")],
            images,
            [Table(words.said("caption_open", day=day), heads, table, self._untold(untold))],
        )

    def _lines(self, what: str, lines: Sequence[Compared]) -> Section:
        if not lines:
            return Section(self.words.said(f"section_{what}"), [self.words.said("nothing")])
        return Section(self.words.said(f"section_{what}"), tables=[self._compared(what, lines)])

    def _untold(self, names: list[str]) -> str:
        """Whose numbers are not told, if anybody's."""
        return self.words.said("untold", names=", ".join(names)) if names else ""

    def _compared(self, what: str, lines: Sequence[Compared]) -> Table:
        """Lines with the figures that fit on a page: waits as median and ninetieth percentile, one under the other."""
        words = self.words
        heads = [
            words.said(f"head_{what}"),
            words.said("head_received"),
            words.said("head_before"),
            words.said("head_year"),
            words.said("head_open"),
            words.said("head_late_share"),
            words.said("head_answer"),
            words.said("head_solve"),
            words.said("head_confirmed"),
            words.said("head_reopened_share"),
        ]
        rows = [
            [
                self._name(line),
                *(words.figure("received", period) for period in (line.now, line.before, line.year)),
                words.figure("open", line.now),
                words.figure("late_share", line.now),
                self._waits(line, "answer_median_hours", "answer_p90_hours"),
                self._waits(line, "solve_median_hours", "solve_p90_hours"),
                words.figure("confirmed_share", line.now),
                words.figure("reopened_share", line.now),
            ]
            for line in lines
            if line.is_told
        ]
        untold = [self._name(line) for line in lines if not line.is_told]
        return Table(words.said(f"caption_{what}"), heads, rows, self._untold(untold))

    def _name(self, line: Compared) -> str:
        return line.name(self.words.language) if line.name else self.words.said("no_zone")

    def _waits(self, line: Compared, median: str, most: str) -> str:
        if line.now[median] is None and line.now["reasons"].get(median) == line.now["reasons"].get(most):
            return self.words.figure(median, line.now)
        return f"{self.words.figure(median, line.now)}\n{self.words.figure(most, line.now)}"

    def _groups(self) -> Section:
        words, seen = self.words, self.seen
        bars = [
            Bar(self._name(line), line.now["received"], words.figure("received", line.now), line.before["received"])
            for line in seen.groups
            if line.is_told
        ]
        if not seen.groups:
            return Section(words.said("section_category"), [words.said("nothing")])
        alt = words.said("chart_groups")
        chart = charts.bars(alt, bars, words.said("chart_mark"))
        return Section(
            words.said("section_category"),
            images=[Image(chart.encode(), alt)] if bars else [],
            tables=[self._compared("group", seen.groups), self._compared("category", seen.categories)],
        )

    def _zones(self) -> list[Section]:
        words, seen = self.words, self.seen
        maps = [self._map("heat")]
        if seen.layer:
            maps.insert(0, self._map("zones"))
        tables = [self._compared("zone", seen.zones)] if seen.zones else []
        return [Section(words.said("section_zone"), images=maps, tables=tables)]

    def _map(self, subject: Subject) -> Image:
        """The month zone by zone, or the heat of a year: a month alone has few squares that may be told."""
        seen, words = self.seen, self.words
        year = Period(months_later(seen.month.first, -11), seen.month.after, seen.month.zone, by_month=True)
        period = year if subject == "heat" else seen.month
        sheet = Sheet(subject, period, seen.sieve, seen.layer, "received", words.language, MAP_WIDTH, seen.now)
        drawn = sheets.draw(self.session, seen.scope, sheet, "svg")
        return Image(drawn, words.said(f"map_{subject}", municipality=home(seen.scope).name), is_map=True)
