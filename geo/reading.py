"""Vector files from outside: GeoJSON (also gzipped), GeoPackage, Shapefile (zipped, or a folder) → WGS84 shapes.

What a file is, is decided by its first bytes, never by its name; only these three formats are opened, and GDAL only
ever sees a path that we made ourselves. So no file can make it fetch an address or open another file.

Coordinates come out longitude first. GDAL reprojects, by writing RFC 7946 GeoJSON, which is WGS84 by definition.
"""

from __future__ import annotations

import gzip
import io
import re
import shutil
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

import numpy as np
import orjson
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

MOST_BYTES: Final = 1 << 30
"""What one file may unpack to."""
SAMPLE: Final = 400
"""Points looked at to guess a coordinate system."""
ITALY: Final = shapely.box(6.3, 35.2, 18.8, 47.3)
WGS84_NAME: Final = "EPSG:4326"
SWAPPED: Final = "swapped"
"""Not a coordinate system but a frequent mistake: latitude first."""

CANDIDATES: Final = {
    "EPSG:3003": "Monte Mario / Gauss-Boaga zona 1 (ovest)",
    "EPSG:3004": "Monte Mario / Gauss-Boaga zona 2 (est)",
    "EPSG:32632": "WGS 84 / UTM 32N",
    "EPSG:32633": "WGS 84 / UTM 33N",
    "EPSG:25832": "ETRS89 / UTM 32N",
    "EPSG:25833": "ETRS89 / UTM 33N",
    "EPSG:7791": "RDN2008 / UTM 32N",
    "EPSG:7792": "RDN2008 / UTM 33N",
    "EPSG:7794": "RDN2008 / Zona Italia (E-N)",
    "EPSG:23032": "ED50 / UTM 32N",
    "EPSG:23033": "ED50 / UTM 33N",
    "EPSG:3035": "ETRS89 / LAEA Europe",
    "EPSG:3857": "Web Mercator",
    SWAPPED: "lat, lon (WGS 84)",
}
"""Systems that Italian municipalities' files are in, the likeliest first where two can hardly be told apart."""

_SQLITE: Final = b"SQLite format 3\0"
_GEOPACKAGE: Final = frozenset({b"GPKG", b"GP10", b"GP11"})
"""What a GeoPackage has at byte 68: any other SQLite file is none of ours."""
_GZIP: Final = b"\x1f\x8b"
_ZIP: Final = b"PK\x03\x04"
_SHAPEFILE: Final = b"\x00\x00\x27\x0a"
_SHAPEFILE_PARTS: Final = frozenset({".shp", ".shx", ".dbf", ".prj", ".cpg"})


class UnreadableLayer(Exception):
    """A file we do not read: `reason` is the last part of its sentence's key, `values` fill it."""

    def __init__(self, reason: str, **values: object) -> None:
        super().__init__(f"{reason} {values}")
        self.reason = reason
        self.values = values


class Feature(NamedTuple):
    """One thing of a layer: its number in the file (from 1), its properties, its shape (None: it has none)."""

    number: int
    properties: dict[str, Any]
    shape: BaseGeometry | None


@dataclass(frozen=True)
class Layer:
    """A layer in WGS84, and where it came from."""

    format: str
    crs: str | None
    """The coordinate system the file declared (or was said to be in); None: it declares none."""
    features: list[Feature]
    sample: NDArray[np.float64]
    """Some points of the file as they stand in it, (n, 2)."""

    @property
    def shapes(self) -> list[BaseGeometry]:
        """The shapes that hold anything."""
        return [feature.shape for feature in self.features if feature.shape is not None and not feature.shape.is_empty]

    @property
    def is_on_earth(self) -> bool:
        """Whether all of it has longitudes and latitudes that can be."""
        bounds = shapely.total_bounds(self.shapes)
        return bool(np.isfinite(bounds).all() and (np.abs(bounds) <= (180, 90, 180, 90)).all())


class Suspicion(NamedTuple):
    """A coordinate system the numbers look like, and which share of the sample it puts where it should be."""

    crs: str
    name: str
    share: float


def read_layer(path: Path, *, crs: str | None = None, layer: str | None = None) -> Layer:
    """The layer in `path`; `crs` overrules what the file declares, `layer` chooses among several.

    Raises UnreadableLayer. Shapes may be invalid or empty: see `geo.faults`.
    """
    raw = _read(path, layer)
    declared = crs or raw.crs
    features = [
        Feature(number, properties, None if shape is None else shapely.force_2d(shape))
        for number, (properties, shape) in enumerate(raw.rows, start=1)
    ]
    sample = _sample(feature.shape for feature in features)
    if not is_wgs84(declared):
        features = _moved(features, str(declared))
    return Layer(raw.format, declared, features, sample)


def suspected(sample: NDArray[np.float64], territory: BaseGeometry = ITALY) -> list[Suspicion]:
    """The coordinate systems that would put `sample` (points as they stand in a file) into `territory`, best first.

    Empty where the points lie there as WGS84 already, or where no known system fits.
    """
    if len(sample) == 0 or _share_inside(sample, territory) > 0:
        return []
    found = []
    for crs, name in CANDIDATES.items():
        share = _share_inside(_points_moved(sample, crs), territory)
        if share > 0:
            found.append(Suspicion(crs, name, share))
    return sorted(found, key=lambda suspicion: -round(suspicion.share, 2))


# --- telling files apart ---------------------------------------------------------------------------------------------


class _Raw(NamedTuple):
    """Rows as they stand in the file."""

    format: str
    crs: str | None
    rows: list[tuple[dict[str, Any], BaseGeometry | None]]


def _read(path: Path, layer: str | None) -> _Raw:
    if path.is_dir():
        return _read_shapefile({part.name: part for part in path.iterdir() if part.is_file()}, layer, path.name)
    if not path.is_file():
        raise UnreadableLayer("no_file", path=str(path))
    with path.open("rb") as file:
        head = file.read(512)
    if head.startswith(_SQLITE) and head[68:72] in _GEOPACKAGE:
        return _read_geopackage(path, layer)
    if head.startswith(_ZIP):
        return _read_zip(path, layer)
    if head.startswith(_SHAPEFILE):
        return _read_shapefile({part.name: part for part in path.parent.glob(f"{path.stem}.*")}, path.stem, path.name)
    if head.startswith(_GZIP):
        with gzip.open(path) as file:
            return _read_geojson(_limited(file, path.name), path.name)
    if _looks_like_json(head):
        with path.open("rb") as file:
            return _read_geojson(_limited(file, path.name), path.name)
    raise UnreadableLayer("unknown_format", path=path.name)


def _looks_like_json(head: bytes) -> bool:
    return head.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n\x1e").startswith(b"{")


def _limited(file: io.BufferedIOBase | gzip.GzipFile, name: str) -> bytes:
    try:
        data = file.read(MOST_BYTES + 1)
    except (OSError, EOFError) as error:
        raise UnreadableLayer("broken", path=name, problem=str(error)) from error
    if len(data) > MOST_BYTES:
        raise UnreadableLayer("too_large", path=name, megabytes=MOST_BYTES >> 20)
    return data


def _read_zip(path: Path, layer: str | None) -> _Raw:
    with TemporaryDirectory(prefix="lampione-") as folder:
        parts = _unpacked(path, Path(folder))
        if any(name.lower().endswith(".shp") for name in parts):
            return _read_shapefile(parts, layer, path.name)
        others = [part for part in parts.values() if part.suffix.lower() not in _SHAPEFILE_PARTS]
        if len(others) != 1:
            raise UnreadableLayer("nothing_in_zip", path=path.name)
        return _read(others[0], layer)


def _unpacked(path: Path, folder: Path) -> dict[str, Path]:
    """The files of the archive that may belong to a layer, under names of our own: name in the archive → file."""
    wanted = _SHAPEFILE_PARTS | {".geojson", ".json", ".gpkg"}
    parts: dict[str, Path] = {}
    room = MOST_BYTES
    try:
        with zipfile.ZipFile(path) as archive:
            for number, member in enumerate(archive.infolist()):
                inner = Path(member.filename)
                if member.is_dir() or inner.suffix.lower() not in wanted or inner.name.startswith("."):
                    continue
                target = folder / f"{number}{inner.suffix.lower()}"
                with archive.open(member) as source, target.open("wb") as copy:
                    # The size in the directory of an archive is only what its maker says.
                    data = source.read(room + 1)
                    room -= len(data)
                    if room < 0:
                        raise UnreadableLayer("too_large", path=path.name, megabytes=MOST_BYTES >> 20)
                    copy.write(data)
                parts[member.filename] = target
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, EOFError) as error:
        raise UnreadableLayer("broken", path=path.name, problem=str(error)) from error
    return parts


# --- GeoJSON, read here ----------------------------------------------------------------------------------------------


def _read_geojson(data: bytes, name: str) -> _Raw:
    try:
        document = orjson.loads(data.removeprefix(b"\xef\xbb\xbf"))
        features, crs = _features_of(document), _named_crs(document.get("crs"))
    except (orjson.JSONDecodeError, AttributeError, TypeError, KeyError) as error:
        features, crs = _sequence(data), None
        if not features:
            raise UnreadableLayer("broken", path=name, problem=str(error)) from error
    rows = []
    for feature in features:
        if not isinstance(feature, dict):
            raise UnreadableLayer("broken", path=name, problem="feature")
        properties = feature.get("properties")
        rows.append((properties if isinstance(properties, dict) else {}, _geometry(feature.get("geometry"))))
    return _Raw("GeoJSON", crs, rows)


def _features_of(document: Mapping[str, Any]) -> list[Any]:
    kind = document["type"]
    if kind == "FeatureCollection":
        return list(document["features"])
    if kind == "Feature":
        return [document]
    if kind == "Topology":
        raise UnreadableLayer("topojson")
    return [{"properties": {}, "geometry": document}]


def _sequence(data: bytes) -> list[Any]:
    """One feature a line; empty where it is not that."""
    try:
        lines = [orjson.loads(line.strip(b"\x1e")) for line in data.splitlines() if line.strip(b"\x1e \t")]
    except orjson.JSONDecodeError:
        return []
    return lines if all(isinstance(line, dict) and line.get("type") == "Feature" for line in lines) else []


def _named_crs(crs: Any) -> str:
    """The old `crs` member, which files from GIS programs still have; without one it is WGS84."""
    name = str(crs["properties"]["name"]) if isinstance(crs, dict) else WGS84_NAME
    found = re.search(r"EPSG:(?:[\d.]*:)?(\d+)$", name)
    return f"EPSG:{found[1]}" if found else WGS84_NAME if name.endswith("CRS84") else name


def _geometry(geometry: Any) -> BaseGeometry | None:
    if not isinstance(geometry, dict):
        return None
    shape = _parsed(geometry)
    if shape is None and geometry.get("type") in {"Polygon", "MultiPolygon"}:
        shape = _parsed({**geometry, "coordinates": _closed(geometry.get("coordinates"))})
    return shape


def _parsed(geometry: Mapping[str, Any]) -> BaseGeometry | None:
    shape: BaseGeometry | None = shapely.from_geojson(orjson.dumps(geometry).decode(), on_invalid="ignore")
    return shape


def _closed(coordinates: Any) -> Any:
    """Rings whose last point is not the first, closed."""
    if not isinstance(coordinates, list) or not coordinates or not isinstance(coordinates[0], list):
        return coordinates
    if coordinates[0] and isinstance(coordinates[0][0], int | float):
        return coordinates if coordinates[0] == coordinates[-1] else [*coordinates, coordinates[0]]
    return [_closed(part) for part in coordinates]


# --- the other formats, read by GDAL ---------------------------------------------------------------------------------


def _read_geopackage(path: Path, layer: str | None) -> _Raw:
    with _at_own_path({".gpkg": path}) as source:
        return _read_by_gdal(source, "GPKG", path.name, layer)


def _read_shapefile(parts: Mapping[str, Path], layer: str | None, name: str) -> _Raw:
    """The Shapefile among `parts` (name → file): the one named `layer`, or the only one."""
    stems = {Path(part).with_suffix("").as_posix(): part for part in parts if part.lower().endswith(".shp")}
    chosen = [stem for stem in stems if layer is None or layer in {stem, Path(stem).name}]
    if len(chosen) != 1:
        known = ", ".join(sorted(Path(stem).name for stem in stems)) or "-"
        raise UnreadableLayer("which_layer" if stems else "no_layer", path=name, known=known)
    family = {
        Path(part).suffix.lower(): file
        for part, file in parts.items()
        if Path(part).with_suffix("").as_posix() == chosen[0] and Path(part).suffix.lower() in _SHAPEFILE_PARTS
    }
    with _at_own_path(family, copied=True) as source:
        return _read_by_gdal(source.with_suffix(".shp"), "ESRI Shapefile", name, None)


@contextmanager
def _at_own_path(files: Mapping[str, Path], *, copied: bool = False) -> Iterator[Path]:
    """The files (by suffix) in a folder of our own, under a name that means nothing to GDAL; the path of the last.

    Shapefiles are copied: GDAL may write an index beside one that has none.
    """
    with TemporaryDirectory(prefix="lampione-") as folder:
        target = Path(folder) / "source"
        for suffix, file in files.items():
            target = Path(folder) / f"source{suffix}"
            if copied:
                shutil.copyfile(file, target)
            else:
                target.symlink_to(file.resolve())
        yield target


def _gdal() -> Any:
    # Loading GDAL takes a while, and most commands never need it.
    import pyogrio  # noqa: PLC0415
    import pyogrio.errors  # noqa: PLC0415
    import pyogrio.raw  # noqa: PLC0415

    pyogrio.set_gdal_config_options(
        {
            "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".none",
            "OGR_SQLITE_ALLOW_EXTERNAL_ACCESS": False,
            "SHAPE_RESTORE_SHX": True,
        }
    )
    return pyogrio


def _read_by_gdal(source: Path, driver: str, name: str, layer: str | None) -> _Raw:
    gdal = _gdal()
    try:
        table = _table(gdal, source, name, layer)
        about, _, shapes, columns = gdal.raw.read(str(source), layer=table, datetime_as_string=True, force_2d=True)
    except (gdal.errors.DataSourceError, gdal.errors.DataLayerError, UnicodeDecodeError) as error:
        raise UnreadableLayer("broken", path=name, problem=str(error)) from error
    fields = [str(field) for field in about["fields"]]
    values = [[_plain(value) for value in column.tolist()] for column in columns]
    properties: Iterable[Sequence[Any]] = zip(*values, strict=True) if values else ([] for _ in shapes)
    geometries = shapely.from_wkb(shapes, on_invalid="ignore")
    rows = [(dict(zip(fields, row, strict=False)), shape) for row, shape in zip(properties, geometries, strict=True)]
    return _Raw(driver.removeprefix("ESRI "), about["crs"], rows)


def _table(gdal: Any, source: Path, name: str, layer: str | None) -> str:
    tables = [str(table) for table, geometry in gdal.list_layers(str(source)) if geometry]
    chosen = [table for table in tables if layer in {None, table}]
    if len(chosen) != 1:
        raise UnreadableLayer("which_layer" if tables else "no_layer", path=name, known=", ".join(tables) or "-")
    return chosen[0]


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not np.isfinite(value) else value


# --- coordinate systems ----------------------------------------------------------------------------------------------


def is_wgs84(crs: str | None) -> bool:
    """Whether coordinates of this system need not be moved; None: the file declares none."""
    return crs is None or crs.upper() in {WGS84_NAME, "OGC:CRS84"}


def _moved(features: Sequence[Feature], crs: str) -> list[Feature]:
    full = [place for place, feature in enumerate(features) if feature.shape is not None and not feature.shape.is_empty]
    moved = list(features)
    shapes = np.array([features[place].shape for place in full], dtype=object)
    for place, shape in zip(full, to_wgs84(shapes, crs), strict=True):
        moved[place] = features[place]._replace(shape=shape)
    return moved


def to_wgs84(shapes: NDArray[np.object_], crs: str) -> list[BaseGeometry | None]:
    """The shapes in WGS84, longitude first. Raises UnreadableLayer for a system GDAL does not know."""
    if crs == SWAPPED:
        return list(shapely.transform(shapes, lambda points: points[:, ::-1]))
    gdal = _gdal()
    out = io.BytesIO()
    try:
        gdal.raw.write(
            out,
            shapely.to_wkb(shapes),
            [],
            [],
            geometry_type="Unknown",
            crs=crs,
            driver="GeoJSON",
            layer_options={"RFC7946": "YES", "COORDINATE_PRECISION": "9"},
        )
    except gdal.errors.CRSError as error:
        raise UnreadableLayer("unknown_crs", crs=crs) from error
    except (gdal.errors.FeatureError, gdal.errors.GeometryError, gdal.errors.DataSourceError) as error:
        raise UnreadableLayer("cannot_reproject", crs=crs) from error
    return [_geometry(feature["geometry"]) for feature in orjson.loads(out.getvalue())["features"]]


def _points_moved(points: NDArray[np.float64], crs: str) -> NDArray[np.float64]:
    """The points in WGS84; those the system cannot hold are left out."""
    try:
        moved = to_wgs84(np.array([shapely.Point(point) for point in points], dtype=object), crs)
    except UnreadableLayer:
        return np.empty((0, 2))
    return shapely.get_coordinates([point for point in moved if point is not None])


def _share_inside(points: NDArray[np.float64], territory: BaseGeometry) -> float:
    if len(points) == 0:
        return 0.0
    return float(shapely.contains_xy(territory, points[:, 0], points[:, 1]).mean())


def _sample(shapes: Iterable[BaseGeometry | None]) -> NDArray[np.float64]:
    points = shapely.get_coordinates([shape for shape in shapes if shape is not None])
    points = points[np.isfinite(points).all(axis=1)]
    return points[:: max(1, len(points) // SAMPLE)][:SAMPLE]
