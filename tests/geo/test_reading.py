"""Vector files from outside: told apart by their bytes, brought to WGS84, and nothing fetched from anywhere."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import pytest
import shapely
from shapely.geometry.base import BaseGeometry

from geo import reading
from geo.reading import ITALY, SWAPPED, UnreadableLayer, read_layer, suspected

PADOVA = (11.8768, 45.4064)
IN_SYSTEM = {
    # What PostGIS's ST_Transform makes of PADOVA.
    "EPSG:3003": (1725158.005, 5032143.331),
    "EPSG:3004": (2275596.410, 5032861.568),
    "EPSG:32632": (725126.052, 5032124.227),
    "EPSG:32633": (255591.984, 5032843.830),
    "EPSG:25832": (725126.052, 5032124.227),
    "EPSG:7794": (6990369.453, 5022572.154),
    "EPSG:3035": (4468137.280, 2478976.392),
    "EPSG:3857": (1322119.328, 5685729.372),
}
SQUARE = shapely.box(11.87, 45.40, 11.88, 45.41)
AROUND_PADOVA = shapely.box(11.8, 45.3, 12.0, 45.5)


def collection(*shapes: BaseGeometry, crs: str | None = None) -> dict[str, Any]:
    features = [
        {
            "type": "Feature",
            "properties": {"code": f"z{number}", "name": f"Zona è {number}"},
            "geometry": json.loads(shapely.to_geojson(shape)),
        }
        for number, shape in enumerate(shapes, start=1)
    ]
    document: dict[str, Any] = {"type": "FeatureCollection", "features": features}
    if crs:
        document["crs"] = {"type": "name", "properties": {"name": crs}}
    return document


def written(path: Path, document: object) -> Path:
    path.write_text(json.dumps(document), "utf-8")
    return path


def gdal_file(path: Path, driver: str, shape: BaseGeometry = SQUARE, crs: str = "EPSG:4326") -> Path:
    pyogrio.raw.write(
        path,
        shapely.to_wkb(np.array([shape], dtype=object)),
        [np.array(["z1"], dtype=object), np.array(["Zona è 1"], dtype=object)],
        ["code", "name"],
        geometry_type="Polygon",
        crs=crs,
        driver=driver,
        encoding="UTF-8",
    )
    return path


def zipped(path: Path, files: list[Path], folder: str = "") -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in files:
            archive.write(file, folder + file.name)
    return path


@pytest.fixture
def shapefile(tmp_path: Path) -> Path:
    folder = tmp_path / "shape"
    folder.mkdir()
    gdal_file(folder / "zone.shp", "ESRI Shapefile")
    return folder


def one_of_each(tmp_path: Path, shapefile: Path) -> dict[str, Path]:
    plain = written(tmp_path / "plain.geojson", collection(SQUARE))
    packed = tmp_path / "packed.geojson.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    return {
        "geojson": plain,
        "gzip": packed,
        "geopackage": gdal_file(tmp_path / "zone.gpkg", "GPKG"),
        "folder": shapefile,
        "shp": shapefile / "zone.shp",
        "zip": zipped(tmp_path / "zone.zip", sorted(shapefile.iterdir()), "una cartella/"),
    }


@pytest.mark.parametrize("kind", ["geojson", "gzip", "geopackage", "folder", "shp", "zip"])
def test_every_format_gives_the_same(kind: str, tmp_path: Path, shapefile: Path) -> None:
    layer = read_layer(one_of_each(tmp_path, shapefile)[kind])
    assert [feature.properties for feature in layer.features] == [{"code": "z1", "name": "Zona è 1"}]
    assert layer.features[0].shape is not None
    assert shapely.equals(layer.features[0].shape, SQUARE)
    assert layer.is_on_earth


def test_the_bytes_decide_not_the_name(tmp_path: Path) -> None:
    package = gdal_file(tmp_path / "zone.gpkg", "GPKG").rename(tmp_path / "zone.geojson")
    assert read_layer(package).format == "GPKG"
    assert read_layer(written(tmp_path / "zone.shp", collection(SQUARE))).format == "GeoJSON"


@pytest.mark.parametrize(
    "content",
    [
        (
            b'<OGRVRTDataSource><OGRVRTLayer name="a"><SrcDataSource>/vsicurl/http://192.0.2.1/a</SrcDataSource>'
            b"</OGRVRTLayer></OGRVRTDataSource>"
        ),
        b"<?xml version='1.0'?><kml/>",
        b"SQLite format 3\0" + b"\0" * 500,
        b"\x89PNG\r\n",
        b"code,name\n1,a\n",
        b"",
    ],
)
def test_other_formats_are_never_opened(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "zone.geojson"
    path.write_bytes(content)
    with pytest.raises(UnreadableLayer) as caught:
        read_layer(path)
    assert caught.value.reason == "unknown_format"


@pytest.mark.parametrize("path", ["/vsicurl/http://192.0.2.1/a.geojson", "https://192.0.2.1/a.geojson", "WFS:http://x"])
def test_an_address_is_only_a_file_that_is_not_there(path: str) -> None:
    with pytest.raises(UnreadableLayer) as caught:
        read_layer(Path(path))
    assert caught.value.reason == "no_file"


def test_what_is_broken_is_said(tmp_path: Path, shapefile: Path) -> None:
    files = one_of_each(tmp_path, shapefile)
    for kind in ("gzip", "zip", "geojson"):
        whole = files[kind].read_bytes()
        files[kind].write_bytes(whole[: len(whole) // 2])
        with pytest.raises(UnreadableLayer) as caught:
            read_layer(files[kind])
        assert caught.value.reason == "broken", kind
    (shapefile / "zone.dbf").write_bytes(b"")
    (shapefile / "zone.shp").write_bytes((shapefile / "zone.shp").read_bytes()[:60])
    with pytest.raises(UnreadableLayer):
        read_layer(shapefile)


def test_a_bomb_is_refused(tmp_path: Path, shapefile: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = one_of_each(tmp_path, shapefile)
    monkeypatch.setattr(reading, "MOST_BYTES", 64)
    for kind in ("gzip", "zip"):
        with pytest.raises(UnreadableLayer) as caught:
            read_layer(files[kind])
        assert caught.value.reason == "too_large"


def test_one_layer_of_several_must_be_chosen(tmp_path: Path, shapefile: Path) -> None:
    for part in list(shapefile.iterdir()):
        part.with_name(f"lotti{part.suffix}").write_bytes(part.read_bytes())
    archive = zipped(tmp_path / "two.zip", sorted(shapefile.iterdir()))
    with pytest.raises(UnreadableLayer) as caught:
        read_layer(archive)
    assert caught.value.values["known"] == "lotti, zone"
    assert len(read_layer(archive, layer="lotti").features) == 1
    with pytest.raises(UnreadableLayer) as caught:
        read_layer(gdal_file(tmp_path / "a.gpkg", "GPKG"), layer="b")
    assert caught.value.reason == "which_layer"


@pytest.mark.parametrize("crs", sorted(IN_SYSTEM))
def test_coordinates_come_out_as_wgs84_longitude_first(crs: str, tmp_path: Path) -> None:
    name = "urn:ogc:def:crs:" + crs.replace(":", "::")
    declared = read_layer(written(tmp_path / "a.geojson", collection(shapely.Point(IN_SYSTEM[crs]), crs=name)))
    forced = read_layer(written(tmp_path / "b.geojson", collection(shapely.Point(IN_SYSTEM[crs]))), crs=crs)
    for layer in (declared, forced):
        point = layer.shapes[0]
        assert isinstance(point, shapely.Point)
        assert (point.x, point.y) == pytest.approx(PADOVA, abs=2e-8)


def test_a_projected_shapefile_is_reprojected_by_its_prj(tmp_path: Path) -> None:
    x, y = IN_SYSTEM["EPSG:25832"]
    folder = tmp_path / "shape"
    folder.mkdir()
    gdal_file(folder / "z.shp", "ESRI Shapefile", shapely.box(x, y, x + 100, y + 100), "EPSG:25832")
    layer = read_layer(folder)
    assert AROUND_PADOVA.contains(layer.shapes[0])
    (folder / "z.prj").unlink()
    without = read_layer(folder)
    assert without.crs is None
    assert not without.is_on_earth
    assert AROUND_PADOVA.contains(read_layer(folder, crs="EPSG:25832").shapes[0])


@pytest.mark.parametrize("crs", sorted(IN_SYSTEM))
def test_a_wrong_system_is_named(crs: str) -> None:
    sample = np.array([IN_SYSTEM[crs]])
    # UTM on WGS84 and on ETRS89 are the same within a metre: either name will do.
    twins = {"EPSG:25832": {"EPSG:25832", "EPSG:32632"}}
    assert suspected(sample, AROUND_PADOVA)[0].crs in twins.get(crs, {crs})
    assert crs in {suspicion.crs for suspicion in suspected(sample, ITALY)}


def test_swapped_axes_are_suspected_and_can_be_swapped_back(tmp_path: Path) -> None:
    path = written(tmp_path / "a.geojson", collection(shapely.Point(PADOVA[::-1])))
    layer = read_layer(path)
    assert [suspicion.crs for suspicion in suspected(layer.sample, ITALY)] == [SWAPPED]
    assert shapely.equals(read_layer(path, crs=SWAPPED).shapes[0], shapely.Point(PADOVA))


def test_what_lies_right_is_not_suspected() -> None:
    assert suspected(np.array([PADOVA]), ITALY) == []
    assert suspected(np.array([(-110.9, 32.2)]), ITALY) == []
    assert suspected(np.empty((0, 2)), ITALY) == []


@pytest.mark.parametrize("crs", ["EPSG:999999", "Gauss", ""])
def test_an_unknown_system_is_said(crs: str, tmp_path: Path) -> None:
    path = written(tmp_path / "a.geojson", collection(SQUARE))
    if not crs:
        assert read_layer(path, crs=None).is_on_earth
        return
    with pytest.raises(UnreadableLayer) as caught:
        read_layer(path, crs=crs)
    assert caught.value.reason == "unknown_crs"


def test_odd_geojson_is_still_read(tmp_path: Path) -> None:
    open_ring = {"type": "Polygon", "coordinates": [[[11, 45, 7], [11.1, 45, 7], [11.1, 45.1, 7]]]}
    document = collection(SQUARE)
    document["features"] += [
        {"type": "Feature", "properties": None, "geometry": open_ring},
        {"type": "Feature", "properties": {}, "geometry": None},
        {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": "?"}},
    ]
    features = read_layer(written(tmp_path / "a.geojson", document)).features
    assert [feature.number for feature in features] == [1, 2, 3, 4]
    assert features[1].shape is not None
    assert not features[1].shape.has_z
    assert features[1].shape.area == pytest.approx(0.005)
    assert [feature.shape for feature in features[2:]] == [None, None]

    lines = tmp_path / "lines.geojson"
    lines.write_text("\n".join(json.dumps(feature) for feature in collection(SQUARE, SQUARE)["features"]))
    assert len(read_layer(lines).features) == 2
    assert len(read_layer(written(tmp_path / "b.geojson", json.loads(shapely.to_geojson(SQUARE)))).features) == 1


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("omi-padova-city.geojson", 22),
        ("omi-prov-padova.geojson.gz", 438),
        ("omi-prov-pesaro-urbino.geojson.gz", 260),
        ("bari-municipi.geojson", 13),
        ("bari-localita.geojson", 52),
        ("bari-quartieri.geojson", 23),
        ("bari-circoscrizioni.geojson", 9),
    ],
)
def test_real_zones_are_read_whole(name: str, count: int, shared_data: Path) -> None:
    layer = read_layer(shared_data / "zones" / name)
    assert len(layer.features) == count
    assert all(feature.shape is not None and feature.properties for feature in layer.features)
    assert layer.is_on_earth
    assert suspected(layer.sample) == []
