"""Import house numbers and street lines into a municipality's register: all of a file, or none of it.

Rows are read once and copied aside as they come; at the end the register is made equal to them. So an import that is
stopped has changed nothing, and the same file twice changes nothing the second time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from math import isnan
from pathlib import Path
from typing import Any, Final

from shapely.geometry.base import BaseGeometry

from city.database import ReadSession, provincial, writing
from city.errors import InvalidInput
from city.registry import territory
from city.registry.addresses.book import AddressBook, Changes, NumberEntry, StreetEntry
from city.registry.addresses.street_names import read_number, split_kind, tidy, words_of
from commands import layers
from commands.address_rows import AddressRow, columns_of, opened, text_at
from commands.rejects import Rejects, rejects_in
from commands.zone_import import boundary_of
from geo.nearby import joined_lines, lines_within, middle_of
from geo.osm import is_extract, named_lines
from geo.place import Place
from geo.reading import Layer, UnreadableLayer
from geo.zones import corridor

BORDER_METRES: Final = 250.0
"""Houses so far beyond the boundary still count: boundaries are drawn coarser than houses are measured."""
LONGEST_POSTCODE: Final = 10
NAME_FIELDS: Final = (
    "name", "nome", "odonimo", "toponimo", "denominazione", "den_uff", "nome_via", "via", "strada", "street", "label",
)  # fmt: skip
KIND_FIELDS: Final = ("dug", "tipo_via", "tipo", "specie")
CODE_FIELDS: Final = ("codicevia", "cod_via", "codice_via", "cod_strada", "id_via")

Progress = Callable[[int, int, int], None]
"""Hears how much of how much has been read, and how many rows were taken."""


@dataclass(frozen=True)
class Plan:
    """Which file goes where, and how it is read."""

    path: Path
    municipality: str
    crs: str | None = None
    layer: str | None = None
    columns: str | None = None
    rejects: Path | None = None
    may_remove: bool = False

    @property
    def rejects_path(self) -> Path:
        """Where rejected rows go: beside the file, unless said otherwise."""
        return self.rejects or self.path.with_name(f"{self.path.name}.rejects.csv")


@dataclass
class Taken:
    """What became of a file."""

    kind: str
    """`addresses` or `streets`."""
    format: str
    crs: str | None
    columns: dict[str, str] = field(default_factory=dict)
    rows: int = 0
    elsewhere: int = 0
    """Rows and lines of other municipalities."""
    rejected: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    rejects: Path | None = None
    changes: Changes = field(default_factory=Changes)

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return asdict(self) | {"rejects": str(self.rejects) if self.rejects else None}


@dataclass(frozen=True)
class _Home:
    """The municipality, as an import needs it."""

    id: int
    istat_code: str | None
    boundary: BaseGeometry | None


def _home(session: ReadSession, slug: str) -> _Home:
    municipality = territory.home(session, slug)
    boundary = boundary_of(session, municipality)
    return _Home(municipality.id, municipality.istat_code, boundary)


# --- house numbers ---------------------------------------------------------------------------------------------------


class _Reader:
    """Makes entries of rows; remembers every street it has met."""

    def __init__(self, columns: Mapping[str, str], home: _Home, rejects: Rejects) -> None:
        self._columns, self._home, self._rejects = columns, home, rejects
        self._places: dict[tuple[str, ...], int] = {}
        self.streets: list[StreetEntry] = []
        self._references: dict[str, int] = {}
        self.elsewhere = 0

    def entries(self, rows: list[AddressRow]) -> Iterator[NumberEntry]:
        """The rows that are house numbers here; the others are rejected, or somebody else's."""
        for row in rows:
            if row.problem is None and self._is_elsewhere(row):
                self.elsewhere += 1
                continue
            try:
                yield self._entry(row)
            except InvalidInput as error:
                self._rejects.note(row.number, error.key, row.values, **error.values)

    def _entry(self, row: AddressRow) -> NumberEntry:
        """The row as a house number. Raises InvalidInput with the reason why it is none."""
        if row.problem is not None:
            raise InvalidInput("importing.unreadable_row", problem=row.problem)
        written = self._text(row, "number")
        number = read_number(written, self._text(row, "suffix"))
        if number is None:
            raise InvalidInput("addresses.no_number", value=written[:40] or "-")
        street = self._street(row)
        if isnan(row.place[0]) or isnan(row.place[1]):
            raise InvalidInput("addresses.no_place")
        if not row.is_inside:
            raise InvalidInput("addresses.outside")
        postcode = self._text(row, "postcode")[:LONGEST_POSTCODE] or None
        return NumberEntry(street, number, postcode, Place(*row.place), row.number)

    def _is_elsewhere(self, row: AddressRow) -> bool:
        """A row of another municipality, in a file of a whole province or country."""
        code = self._text(row, "istat")
        wanted = self._home.istat_code
        return bool(code.isdigit() and wanted and code.zfill(6) != wanted.zfill(6))

    def _street(self, row: AddressRow) -> int:
        said = tuple(self._text(row, key) for key in ("kind", "street", "code", "locality", "postcode"))
        # A street's postcode is that of its first house.
        place = self._places.get(said[:4])
        if place is None:
            kind, name, code, locality, postcode = said
            if not kind:
                kind, name = split_kind(name)
            entry = StreetEntry(
                tidy(kind), tidy(name), code or None, locality or None, postcode[:LONGEST_POSTCODE] or None
            )
            if not words_of(entry.name):
                raise InvalidInput("addresses.no_street")
            place = self._references.setdefault(entry.reference, len(self.streets))
            if place == len(self.streets):
                self.streets.append(entry)
            self._places[said[:4]] = place
        return place

    def _text(self, row: AddressRow, key: str) -> str:
        return text_at(row.values, self._columns.get(key))


def import_addresses(plan: Plan, progress: Progress) -> Taken:
    """Make the register's numbers those of the file.

    Raises InvalidInput: unreadable, or in a system that cannot be right; Conflict where too much would vanish.
    """
    with opened(plan.path, plan.crs, plan.layer) as file:
        columns = columns_of(file, plan.columns)
        with provincial() as session:
            home = _home(session, plan.municipality)
        taken = Taken("addresses", file.format, file.crs, columns)
        with writing(home.id) as session, rejects_in(plan.rejects_path, file.names) as rejects:
            reader = _Reader(columns, home, rejects)
            book = AddressBook(session, home.id)
            for rows in file.pieces(columns, None if home.boundary is None else corridor(home.boundary, BORDER_METRES)):
                book.stage(reader.entries(rows))
                taken.rows += len(rows)
                progress(file.done, file.size, taken.rows)
            if not reader.streets:
                raise InvalidInput("addresses.none", field="file", rows=taken.rows, elsewhere=reader.elsewhere)
            taken.changes = book.keep_numbers(reader.streets, may_remove=plan.may_remove)
        taken.elsewhere, taken.rejected = reader.elsewhere, len(rejects)
        taken.reasons = dict(rejects.reasons.most_common())
        taken.rejects = rejects.path if len(rejects) else None
    return taken


# --- streets' lines --------------------------------------------------------------------------------------------------


@dataclass
class _Lines:
    """Named lines of a file, inside the municipality."""

    format: str
    crs: str | None
    pieces: dict[StreetEntry, list[BaseGeometry]] = field(default_factory=dict)
    columns: dict[str, str] = field(default_factory=dict)
    rows: int = 0
    elsewhere: int = 0
    nameless: int = 0

    def add(self, entry: StreetEntry, shape: BaseGeometry, area: BaseGeometry | None) -> None:
        """One more piece of a street; what of it lies elsewhere is left out."""
        self.rows += 1
        inside = lines_within(shape, area)
        if inside is None:
            self.elsewhere += 1
        elif not entry.words:
            self.nameless += 1
        else:
            self.pieces.setdefault(entry, []).append(inside)


def import_streets(plan: Plan, progress: Progress) -> Taken:
    """Make the streets' lines those of the file: an OpenStreetMap extract, or a layer of lines with names.

    Raises InvalidInput, Conflict as `import_addresses`.
    """
    with provincial() as session:
        home = _home(session, plan.municipality)
    lines = _from_extract(plan, home) if is_extract(plan.path) else _from_layer(plan, home)
    progress(1, 2, lines.rows)
    if not lines.pieces:
        raise InvalidInput("addresses.no_lines", field="file", rows=lines.rows)
    taken = Taken("streets", lines.format, lines.crs, lines.columns, lines.rows, lines.elsewhere)
    taken.rejected, taken.reasons = lines.nameless, {"addresses.no_street": lines.nameless} if lines.nameless else {}
    with writing(home.id) as session:
        book = AddressBook(session, home.id)
        taken.changes = book.keep_lines(_shared_out(lines, book), may_remove=plan.may_remove)
    progress(2, 2, lines.rows)
    return taken


def _from_extract(plan: Plan, home: _Home) -> _Lines:
    try:
        found = named_lines(plan.path, home.boundary)
    except UnreadableLayer as error:
        raise InvalidInput(f"reading.{error.reason}", field="file", **error.values) from error
    lines = _Lines("OpenStreetMap", None, columns={"name": "name"})
    for name, shape in found:
        lines.add(StreetEntry(*map(tidy, split_kind(name))), shape, home.boundary)
    return lines


def _from_layer(plan: Plan, home: _Home) -> _Lines:
    layer = layers.read(layers.Source(plan.path, plan.crs, plan.layer), home.boundary)
    lines = _Lines(layer.format, layer.crs)
    given = dict(part.partition("=")[::2] for part in (plan.columns or "").split(",") if part.strip())
    for key, guesses in (("name", NAME_FIELDS), ("kind", KIND_FIELDS), ("code", CODE_FIELDS)):
        wanted = given.get("street" if key == "name" else key)
        column = _column(layer, wanted, guesses)
        if column:
            lines.columns[key] = column
    if "name" not in lines.columns:
        known = ", ".join(layer.features[0].properties) or "-"
        raise InvalidInput("addresses.no_columns", field="map", missing="street", known=known)
    for feature in layer.features:
        if feature.shape is None or feature.shape.geom_type not in {"LineString", "MultiLineString"}:
            continue
        kind, name, code = (text_at(feature.properties, lines.columns.get(key)) for key in ("kind", "name", "code"))
        if not kind:
            kind, name = split_kind(name)
        lines.add(StreetEntry(tidy(kind), tidy(name), code or None), feature.shape, home.boundary)
    return lines


def _column(layer: Layer, wanted: str | None, guesses: tuple[str, ...]) -> str | None:
    """The property wanted, or the first likely one. Raises InvalidInput for one that is not there."""
    names = list(dict.fromkeys(name for feature in layer.features for name in feature.properties))
    if wanted and wanted not in names:
        raise InvalidInput("importing.no_field", field="map", value=wanted, known=", ".join(names) or "-")
    by_lower = {name.lower(): name for name in reversed(names)}
    return wanted or next((by_lower[guess] for guess in guesses if guess in by_lower), None)


def _shared_out(lines: _Lines, book: AddressBook) -> list[tuple[StreetEntry, BaseGeometry]]:
    """Each street with its lines. Of streets that share a name, each piece goes to the one whose houses are nearest."""
    known = book.homonyms()
    streets: dict[str, tuple[StreetEntry, list[BaseGeometry]]] = {}
    for entry, pieces in lines.pieces.items():
        sharing = known.get(entry.words, [])
        for piece in pieces:
            chosen = entry
            if len(sharing) > 1 and not entry.code:
                middle = middle_of(piece)
                chosen = min(sharing, key=lambda one: one[1].distance_metres(middle))[0]
            key = chosen.reference if chosen.code or len(sharing) > 1 else chosen.words
            streets.setdefault(key, (chosen, []))[1].append(piece)
    return [(entry, joined_lines(pieces)) for entry, pieces in streets.values()]
