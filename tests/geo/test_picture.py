"""Maps on paper: what is drawn is seen, what is written is escaped."""

from __future__ import annotations

import io
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import shapely
from PIL import Image

from geo.cells import Bounds
from geo.lettering import text_width
from geo.picture import Picture, Style, bounds_of
from geo.place import Place

HERE = Bounds(11.80, 45.35, 11.95, 45.45)


def opened(picture: Picture) -> Image.Image:
    image = Image.open(io.BytesIO(picture.png()))
    image.load()
    return image


def at(picture: Picture, image: Image.Image, place: Place) -> tuple[int, ...]:
    x, y = picture.pixels(np.array([place]))[0].round().astype(int).tolist()
    pixel = image.getpixel((x, y))
    assert isinstance(pixel, tuple)
    return pixel


def test_north_is_up_and_east_is_right() -> None:
    picture = Picture(HERE, 600)
    west, north = picture.pixels(np.array([[HERE.west, HERE.north]]))[0]
    east, south = picture.pixels(np.array([[HERE.east, HERE.south]]))[0]
    assert west < east
    assert north < south


def test_a_hole_is_seen_through() -> None:
    hole = shapely.box(11.86, 45.38, 11.89, 45.42)
    picture = Picture(HERE, 600)
    picture.area(shapely.box(11.82, 45.36, 11.93, 45.44) - hole, Style(fill="#ff0000"))
    image = opened(picture)
    assert at(picture, image, Place(11.84, 45.40)) == (255, 0, 0)
    assert at(picture, image, Place(11.875, 45.40)) == (247, 245, 240)


def test_what_lies_beyond_the_frame_is_cut_off_and_invalid_rings_do_no_harm() -> None:
    picture = Picture(HERE, 400, title="Prova")
    bow = shapely.Polygon([(11, 45), (13, 46), (13, 45), (11, 46)])
    picture.area(bow, Style(fill="#0000ff", opacity=0.5, hatch="#000000"))
    picture.line(shapely.box(11, 45, 13, 46), Style(stroke="#00ff00", width=3))
    picture.dots(np.array([0.0, 11.85]), np.array([0.0, 45.4]), Style(fill="#ff0000"), 4)
    image = opened(picture)
    assert image.getpixel((2, image.height // 2)) == (255, 255, 255)


def test_the_scale_is_that_of_the_ground() -> None:
    picture = Picture(HERE, 1000)
    one, other = Place(11.82, 45.4), Place(11.92, 45.4)
    pixels = picture.pixels(np.array([one, other]))
    metres = float(pixels[1, 0] - pixels[0, 0]) * picture.metres_per_pixel
    assert metres == pytest.approx(one.distance_metres(other), rel=1e-3)


def test_labels_do_not_lie_on_one_another() -> None:
    picture = Picture(HERE, 600)
    assert picture.label(Place(11.87, 45.40), "Centro storico")
    assert not picture.label(Place(11.871, 45.40), "Duomo")
    assert not picture.label(Place(11.80, 45.40), "Un nome lungo che uscirebbe dalla carta")


def test_the_drawing_as_svg_is_sound_and_its_text_escaped() -> None:
    picture = Picture(HERE, 600, title="<script>&\"'\x00", subtitle="città", note="§")
    picture.area(shapely.box(11.82, 45.36, 11.93, 45.44), Style(fill="#ff0000", hatch="#000000", stroke="#111111"))
    picture.circle(Place(11.87, 45.4), 500, Style(stroke="#000000"))
    picture.label(Place(11.87, 45.4), "</text><x>")
    picture.legend("a < b", Style(fill="#ff0000"))
    picture.legend("via", Style(stroke="#ff0000"), mark="line")
    root = ET.fromstring(picture.svg())  # noqa: S314  (our own)
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert {"svg", "path", "circle", "text", "pattern", "clipPath"} <= tags
    assert "script" not in tags
    assert "x" not in tags
    said = [element.text for element in root.iter() if element.text and element.text.strip()]
    assert "<script>&\"'" in said
    assert "</text><x>" in said


def test_accents_are_written_though_the_font_has_none() -> None:
    plain, accented = Picture(HERE, 400, title="citta e perche"), Picture(HERE, 400, title="città è perché")
    assert plain.png() != accented.png()
    assert text_width("città", 20) == text_width("citta", 20)
    assert text_width("m²", 20) < text_width("m2", 20)


def test_bounds_hold_all_shapes() -> None:
    assert bounds_of(shapely.box(1, 2, 3, 4), None, shapely.Point(5, 1)) == Bounds(1, 1, 5, 4)
    with pytest.raises(ValueError, match="no shape"):
        bounds_of(None)


def test_a_long_note_is_written_in_lines_that_have_room() -> None:
    note = "Stato al 30 novembre. Comprende segnalazioni non pubbliche, per uso interno. " * 3
    picture = Picture(HERE, 500, note=note)
    root = ET.fromstring(picture.svg())  # noqa: S314  (our own)
    lines = [str(words.text) for words in root.iter("{http://www.w3.org/2000/svg}text") if len(str(words.text)) > 5]
    assert len(lines) > 2
    assert " ".join(lines) == note.strip()
    assert all(text_width(line, 12) < 500 - 32 for line in lines)


def test_a_name_lies_on_its_halo_in_every_program() -> None:
    picture = Picture(HERE, 500)
    assert picture.label(Place(11.87, 45.40), "Centro")
    root = ET.fromstring(picture.svg())  # noqa: S314  (our own)
    halo, name = (w for w in root.iter("{http://www.w3.org/2000/svg}text") if w.text == "Centro")
    assert halo.get("stroke") == halo.get("fill") == "#ffffff"
    assert halo.get("aria-hidden") == "true"
    assert name.get("stroke") is None
