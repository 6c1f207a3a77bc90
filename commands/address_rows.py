"""Files of house numbers, row by row: tables (CSV, JSON) and layers of points (GeoJSON, GeoPackage, Shapefile).

Which column holds what is guessed by the names that Italian registers, ISTAT and ANNCSU use. Coordinates are looked at
before anything is kept: where they cannot be what they are said to be, the file is refused with what they look like.
"""

from __future__ import annotations

import gzip
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from city.errors import InvalidInput
from city.texts import said
from commands.layers import words
from commands.report_rows import Row, RowFile, value_at
from geo.points import inner_point, moved_points, share_within, which_within
from geo.reading import ITALY, MOST_BYTES, SAMPLE, Layer, UnreadableLayer, read_layer, suspected

PIECE: Final = 10_000
"""Rows that are worked on at a time."""

GUESSES: Final[dict[str, tuple[str, ...]]] = {
    "street": (
        "duf", "odonimo", "nome_via", "nomevia", "nome_strada", "den_strada", "denom_via", "denominazione_via", "via",
        "strada", "toponimo", "denominazione", "desvia", "des_via", "street", "addr:street", "nome", "name",
        "indirizzo",
    ),
    "kind": (
        "dug", "tipo_via", "tipovia", "specie", "specie_via", "tipo_strada", "tipo_toponimo", "qualificatore",
        "tipo_odonimo", "particella",
    ),
    "code": (
        "codicevia", "codice_via", "codvia", "cod_via", "codice_strada", "cod_strada", "id_via", "idvia", "id_strada",
        "progressivo_nazionale", "prog_naz", "codice_comunale", "codice_odonimo", "codtop", "cod_top", "toponimo_id",
    ),
    "number": (
        "civico", "numero_civico", "num_civico", "numcivico", "n_civico", "ncivico", "nciv", "numero", "civ", "num",
        "housenumber", "house_number", "addr:housenumber", "number",
    ),
    "suffix": ("esponente", "esp", "barrato", "lettera", "subalterno", "sub", "suffix", "suffisso"),
    "postcode": ("cap", "postcode", "addr:postcode", "codice_postale"),
    "locality": (
        "quartieresobborgo", "frazione", "localita", "localita'", "località", "sobborgo", "quartiere", "locality",
        "addr:place",
    ),
    "istat": ("codiceistat", "codice_istat", "cod_istat", "codistat", "pro_com_t", "istat"),
    "x": (
        "coordx", "coord_x", "coord_x_comune", "coordinata_x", "x", "est", "easting", "lon", "lng", "long", "longitude",
        "longitudine", "geometry.lon",
    ),
    "y": (
        "coordy", "coord_y", "coord_y_comune", "coordinata_y", "y", "nord", "northing", "lat", "latitude",
        "latitudine", "geometry.lat",
    ),
}  # fmt: skip
"""What a column may be called, in small letters, the likeliest first."""
_TABLES: Final = (".csv", ".txt", ".tsv", ".json", ".jsonl", ".ndjson")


class AddressRow(NamedTuple):
    """A row: its number in the file, its values, where (NaN: nowhere), and whether it cannot be read."""

    number: int
    values: Mapping[str, Any]
    place: tuple[float, float]
    is_inside: bool
    problem: str | None = None


@dataclass
class AddressFile:
    """A file of house numbers, opened: what it is, its columns, its system."""

    path: Path
    format: str
    names: list[str]
    crs: str | None
    table: RowFile | None = None
    layer: Layer | None = None

    @property
    def size(self) -> int:
        """How much there is to read: bytes of a table, features of a layer."""
        return self.table.size if self.table else len(self.layer.features) if self.layer else 0

    @property
    def done(self) -> int:
        """How much of it has been read."""
        return self.table.read_bytes if self.table else self._features_read

    _features_read: int = 0

    def pieces(self, columns: Mapping[str, str], territory: BaseGeometry | None) -> Iterator[list[AddressRow]]:
        """All rows, a piece at a time, moved to WGS84. Raises InvalidInput for a system that cannot be right."""
        rows = self._rows(columns)
        is_checked = False
        while batch := list(islice(rows, PIECE)):
            raw = np.array([point for _, point in batch], dtype=float).reshape(-1, 2)
            # A layer has been moved already; of a table this is where it happens.
            places = moved_points(raw, None if self.layer else self.crs)
            if not is_checked:
                self._check(raw, places, territory)
                is_checked = True
            inside = which_within(places, territory) if territory is not None else [True] * len(batch)
            yield [
                AddressRow(row.number, row.values, (float(lon), float(lat)), is_inside, row.problem)
                for (row, _), (lon, lat), is_inside in zip(batch, places, inside, strict=True)
            ]

    def _rows(self, columns: Mapping[str, str]) -> Iterator[tuple[Row, tuple[float, float]]]:
        if self.table is not None:
            for row in self.table.rows():
                yield row, (_figure(row, columns.get("x")), _figure(row, columns.get("y")))
        for feature in self.layer.features if self.layer else ():
            self._features_read += 1
            yield Row(feature.number, feature.properties), inner_point(feature.shape)

    def _check(self, raw: NDArray[np.float64], places: NDArray[np.float64], territory: BaseGeometry | None) -> None:
        area = territory or ITALY
        if share_within(places, area) > 0:
            return
        sample = self.layer.sample if self.layer else raw[np.isfinite(raw).all(axis=1)]
        sample = sample[:: max(1, len(sample) // SAMPLE)][:SAMPLE]
        guesses = suspected(sample, area) or suspected(sample)
        likely = [guess for guess in guesses if guess.crs != self.crs and guess.share >= guesses[0].share / 2]
        if likely:
            others = ", ".join(guess.crs for guess in likely[1:4])
            raise InvalidInput(
                "reading.suspected" if self.crs else "reading.suspected_undeclared",
                field="crs",
                declared=self.crs or "-",
                crs=likely[0].crs,
                name=likely[0].name,
                others=said("reading.others", others=others) if others else "",
            )
        raise InvalidInput("importing.nothing_inside", field="file")


@contextmanager
def opened(path: Path, crs: str | None = None, layer: str | None = None) -> Iterator[AddressFile]:
    """The file, whatever it is. Raises InvalidInput."""
    with TemporaryDirectory(prefix="lampione-") as folder:
        table = _table_in(path, Path(folder))
        if table is not None:
            rows = RowFile(table)
            names = rows.names()
            if rows.format in {"csv", "jsonl", "array"}:
                if crs is not None:
                    _try_system(crs)
                yield AddressFile(path, "CSV" if rows.format == "csv" else "JSON", names, crs, table=rows)
                return
        try:
            read = read_layer(table or path, crs=crs, layer=layer)
        except UnreadableLayer as error:
            raise InvalidInput(f"reading.{error.reason}", field="file", **error.values) from error
        names = list(dict.fromkeys(name for feature in read.features for name in feature.properties))
        yield AddressFile(path, read.format, names, read.crs, layer=read)


def _try_system(crs: str) -> None:
    try:
        moved_points(np.array([[0.0, 0.0]]), crs)
    except UnreadableLayer as error:
        if error.reason == "unknown_crs":
            raise InvalidInput("reading.unknown_crs", field="crs", crs=crs) from error


def _table_in(path: Path, folder: Path) -> Path | None:
    """The table that `path` is or holds; None where it is a layer (or nothing)."""
    if not path.is_file():
        if path.is_dir():
            return None
        raise InvalidInput("reading.no_file", field="file", path=str(path))
    with path.open("rb") as file:
        head = file.read(64)
    if head.startswith(b"PK\x03\x04"):
        return _unpacked(path, folder)
    if head.startswith(b"\x1f\x8b"):
        try:
            with gzip.open(path) as file:
                head = file.read(64)
        except (OSError, EOFError) as error:
            raise InvalidInput("reading.broken", field="file", path=path.name, problem=str(error)) from error
    is_binary = head.startswith((b"SQLite format 3\0", b"\x00\x00\x27\x0a")) or b"\0" in head.removeprefix(b"\xff\xfe")
    return None if is_binary else path


def _unpacked(path: Path, folder: Path) -> Path | None:
    """The one table of a zip; None where it has none, or a Shapefile. Raises InvalidInput."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = [
                member
                for member in archive.infolist()
                if not member.is_dir() and not Path(member.filename).name.startswith(".")
            ]
            if any(member.filename.lower().endswith((".shp", ".gpkg", ".geojson")) for member in members):
                return None
            tables = [member for member in members if member.filename.lower().endswith(_TABLES)]
            if len(tables) != 1:
                raise InvalidInput("addresses.nothing_in_zip", field="file", path=path.name)
            target = folder / "table"
            room = MOST_BYTES
            with archive.open(tables[0]) as source, target.open("wb") as copy:
                # The size in the directory of an archive is only what its maker says.
                while piece := source.read(1 << 20):
                    room -= len(piece)
                    if room < 0:
                        raise InvalidInput(
                            "reading.too_large", field="file", path=path.name, megabytes=MOST_BYTES >> 20
                        )
                    copy.write(piece)
            return target
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, EOFError) as error:
        raise InvalidInput("reading.broken", field="file", path=path.name, problem=str(error)) from error


def columns_of(file: AddressFile, given: str | None) -> dict[str, str]:
    """Which column holds what: as given (`street=Via,number=Civico,…`), the rest guessed by name.

    Raises InvalidInput for an unknown part or column, or where a street's name, a number or a place is missing.
    """
    columns: dict[str, str] = {}
    for part in (part for part in (given or "").split(",") if part.strip()):
        key, equals, name = (piece.strip() for piece in part.partition("="))
        if not equals or key not in GUESSES:
            raise InvalidInput("importing.bad_map", field="map", value=part.strip(), known=", ".join(GUESSES))
        if name not in file.names:
            raise InvalidInput("importing.no_field", field="map", value=name, known=", ".join(file.names) or "-")
        columns[key] = name
    by_lower = {name.strip().lower().replace(" ", "_"): name for name in reversed(file.names)}
    for key, guesses in GUESSES.items():
        found = next((by_lower[guess] for guess in guesses if guess in by_lower), None)
        if key not in columns and found is not None and found not in columns.values():
            columns[key] = found
    needed = ["street", "number", *(("x", "y") if file.layer is None else ())]
    missing = [key for key in needed if key not in columns]
    if missing:
        raise InvalidInput(
            "addresses.no_columns", field="map", missing=", ".join(missing), known=", ".join(file.names) or "-"
        )
    return columns


def text_at(values: Mapping[str, Any], column: str | None) -> str:
    """A column's value as tidy text, "" for nothing."""
    return words(value_at(values, column)).replace("\0", "") if column else ""


def _figure(row: Row, column: str | None) -> float:
    value = value_at(row.values, column) if column else None
    if value is None or isinstance(value, bool):
        return np.nan
    try:
        figure = float(str(value).strip().replace(",", "."))
    except ValueError:
        return np.nan
    return figure if np.isfinite(figure) else np.nan
