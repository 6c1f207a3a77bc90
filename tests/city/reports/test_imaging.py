"""Photos fail closed: whole and honest ones come out upright and clean, everything else is refused with a sentence."""

from __future__ import annotations

import importlib.util
import io
import random
import re
import struct
import threading
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from PIL import ExifTags, Image, ImageChops, ImageCms, ImageDraw, ImageStat

from city.errors import LampioneError, TooLarge, UnsupportedPhoto
from city.reports import imaging
from city.reports.imaging import DERIVATIVES, PhotoLimits, derive, inspect

IMAGES = Path(__file__).parents[3].parent / "shared" / "data" / "images"
needs_images = pytest.mark.skipif(not IMAGES.is_dir(), reason="the sample images are not beside this repository")
has_heic = importlib.util.find_spec("pillow_heif") is not None

RIGHT, LEFT = (220, 40, 30), (20, 60, 200)


def encoded(picture: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    written = io.BytesIO()
    picture.save(written, kind, **options)
    return written.getvalue()


def scene(width: int = 400, height: int = 300, mode: str = "RGB") -> Image.Image:
    """Blue left, red right, a bright corner at the top left: no two orientations look the same."""
    picture = Image.new("RGB", (width, height), LEFT)
    draw = ImageDraw.Draw(picture)
    draw.rectangle((width // 2, 0, width, height), fill=RIGHT)
    draw.rectangle((0, 0, width // 5, height // 5), fill="white")
    return picture.convert(mode)


def noisy(width: int = 640, height: int = 480) -> Image.Image:
    """What compresses badly, so that a cut always takes pixels away."""
    return Image.frombytes("RGB", (width, height), random.Random(7).randbytes(width * height * 3))


def with_gps(lat: object, lon: object, *, lat_ref: str = "N", lon_ref: str = "E") -> bytes:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.GPSInfo).update(
        {
            ExifTags.GPS.GPSLatitudeRef: lat_ref,
            ExifTags.GPS.GPSLatitude: lat,
            ExifTags.GPS.GPSLongitudeRef: lon_ref,
            ExifTags.GPS.GPSLongitude: lon,
        }
    )
    return encoded(scene(), exif=exif)


def with_time(taken: str, **offsets: str) -> bytes:
    exif = Image.Exif()
    ifd = exif.get_ifd(ExifTags.IFD.Exif)
    ifd[ExifTags.Base.DateTimeOriginal] = taken
    for name, offset in offsets.items():
        ifd[ExifTags.Base[name]] = offset
    return encoded(scene(), exif=exif)


def opened(jpeg: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(jpeg), formats=("JPEG",))
    picture.load()
    return picture


def close(seen: tuple[int, ...], expected: tuple[int, ...], *, by: int = 12) -> bool:
    return all(abs(one - other) <= by for one, other in zip(seen, expected, strict=True))


def colour(picture: Image.Image, x: float, y: float) -> tuple[int, ...]:
    """The colour at a part (0 to 1) of the width and height."""
    seen = picture.convert("RGB").getpixel((int(picture.width * x), int(picture.height * y)))
    assert isinstance(seen, tuple)
    return tuple(int(part) for part in seen)


def refusal(data: bytes, limits: PhotoLimits | None = None) -> str:
    """The key of the sentence with which both ways refuse `data`."""
    with pytest.raises(LampioneError) as inspected:
        inspect(data, limits)
    with pytest.raises(LampioneError) as derived:
        derive(data, limits)
    error = inspected.value
    assert error.key == derived.value.key
    assert isinstance(error, TooLarge | UnsupportedPhoto)
    assert error.field == "photos"
    assert error.sentence("it") != error.sentence("en")
    return error.key


def jpeg_segments(jpeg: bytes) -> Iterator[tuple[int, bytes]]:
    """Every marker with its content, to the last byte; what lies behind the end comes as marker 0."""
    at = 2
    while at < len(jpeg):
        assert jpeg[at] == 0xFF
        code = jpeg[at + 1]
        if code == 0xD9:
            yield code, b""
            if jpeg[at + 2 :]:
                yield 0, jpeg[at + 2 :]
            return
        length = int.from_bytes(jpeg[at + 2 : at + 4], "big")
        yield code, jpeg[at + 4 : at + 2 + length]
        at += 2 + length
        if code == 0xDA:
            following = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]").search(jpeg, at)
            assert following
            at = following.start()


def assert_clean(jpeg: bytes) -> None:
    """Nothing but tables, scans and the 14 bytes by which a JPEG says that it is one."""
    allowed = {0xE0, 0xDB, 0xC2, 0xC4, 0xDA, 0xD9}
    segments = list(jpeg_segments(jpeg))
    assert {code for code, _ in segments} <= allowed
    assert [content[:5] for code, content in segments if code == 0xE0] == [b"JFIF\0"]
    assert [len(content) for code, content in segments if code == 0xE0] == [14]
    # Not in the scans: three letters come about in compressed pixels by chance.
    said = b"".join(content for code, content in segments if code not in {0, 0xDA})
    assert not re.search(rb"Exif|GPS|ns\.adobe|ICC_PROFILE|MPF\0", said)


class TestWhatComesIn:
    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
    def test_facts(self, kind: str) -> None:
        data = encoded(scene(), kind)
        facts = inspect(data)
        assert (facts.format, facts.width, facts.height) == (kind.lower(), 400, 300)
        assert (facts.place, facts.taken_at) == (None, None)
        assert len(facts.sha256) == 32
        assert -(2**63) <= facts.dhash < 2**63

    def test_same_picture_has_a_near_hash_and_another_has_not(self) -> None:
        picture = noisy(64, 48).resize((640, 480))
        first = inspect(encoded(picture, quality=90)).dhash
        again = inspect(encoded(picture.resize((1280, 960)), "WEBP", quality=70)).dhash
        other = inspect(encoded(picture.transpose(Image.Transpose.ROTATE_180))).dhash
        assert ((first ^ again) & 2**64 - 1).bit_count() <= 4
        assert ((first ^ other) & 2**64 - 1).bit_count() > 16

    def test_too_many_bytes(self) -> None:
        assert refusal(encoded(noisy(64, 64), "PNG"), PhotoLimits(most_bytes=1000)) == "photos.too_many_bytes"

    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
    def test_too_many_pixels(self, kind: str) -> None:
        assert refusal(encoded(scene(), kind), PhotoLimits(most_pixels=119_999)) == "photos.too_many_pixels"
        assert inspect(encoded(scene(), kind), PhotoLimits(most_pixels=120_000)).width == 400

    def test_a_bomb_of_400_million_pixels_is_refused_before_it_is_decoded(self) -> None:
        side = 20_000
        rows = zlib.compressobj(9)
        packed = b"".join(rows.compress(bytes(1 + side // 8)) for _ in range(side)) + rows.flush()
        chunks = ((b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)), (b"IDAT", packed), (b"IEND", b""))
        bomb = b"\x89PNG\r\n\x1a\n" + b"".join(
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
            for name, body in chunks
        )
        assert len(bomb) < 100_000
        started = time.process_time()
        assert refusal(bomb) == "photos.too_many_pixels"
        assert time.process_time() - started < 0.2

    def test_a_webp_that_claims_to_be_huge_takes_no_memory(self) -> None:
        huge = (16_383).to_bytes(3, "little")
        body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + huge + huge
        assert refusal(b"RIFF" + struct.pack("<I", len(body)) + body) == "photos.too_many_pixels"

    def test_a_jpeg_of_endless_scans_is_refused_at_once(self) -> None:
        whole = encoded(Image.new("RGB", (7000, 7000), LEFT), progressive=True)
        last_scan = whole[whole.rindex(b"\xff\xda") : -2]
        endless = whole[:-2] + last_scan * 100_000 + b"\xff\xd9"
        started = time.process_time()
        assert refusal(endless) == "photos.broken"
        assert time.process_time() - started < 1

    def test_scans_behind_the_end_do_not_count(self) -> None:
        assert inspect(encoded(scene()) + b"\xff\xda\0\2" * 1000).width == 400

    @pytest.mark.parametrize("options", [{"progressive": True}, {"progressive": False}, {"restart_marker_rows": 1}])
    @pytest.mark.parametrize("part", [0.2, 0.5, 0.9, 0.99, 0.9999])
    def test_a_truncated_jpeg_is_caught_at_an_eighth_of_its_size(self, options: dict[str, Any], part: float) -> None:
        whole = encoded(noisy(), **options)
        assert inspect(whole).width == 640
        assert refusal(whole[: int(len(whole) * part)]) == "photos.broken"

    @pytest.mark.parametrize("part", [0.01, 0.2, 0.5, 0.9, 0.99, 0.999])
    @pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("WEBP", {}), ("WEBP", {"lossless": True})])
    def test_a_truncated_png_or_webp(self, kind: str, options: dict[str, Any], part: float) -> None:
        whole = encoded(noisy(320, 240), kind, **options)
        assert inspect(whole).width == 320
        assert refusal(whole[: int(len(whole) * part)]) == "photos.broken"

    def test_bytes_missing_in_the_middle_of_a_png(self) -> None:
        whole = encoded(noisy(320, 240), "PNG")
        assert refusal(whole[:50_000] + whole[51_000:]) == "photos.broken"

    @pytest.mark.parametrize(
        ("data", "key"),
        [
            (b"", "photos.empty"),
            (b"Buongiorno, la buca in via Roma.", "photos.no_photo"),
            (b"\xff\xd8\xff", "photos.broken"),
            (b"\xff\xd8\xff\xd9", "photos.broken"),
            (b"\x89PNG\r\n\x1a\n", "photos.broken"),
            (b"RIFF\0\0\0\0WEBP", "photos.broken"),
            (b"RIFF\xff\xff\xff\xffWEBPVP8L", "photos.broken"),
            (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "photos.wrong_kind"),
            (b"%PDF-1.7", "photos.wrong_kind"),
            (b"\0\0\0\x18ftypmp42\0\0\0\0isommp42", "photos.video"),
            (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", "photos.video"),
            (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", "photos.wrong_kind"),
        ],
    )
    def test_what_is_no_photo(self, data: bytes, key: str) -> None:
        assert refusal(data) == key

    @pytest.mark.parametrize("kind", ["GIF", "TIFF", "BMP", "ICO", "AVIF", "JPEG2000"])
    def test_other_pictures_are_refused_by_name(self, kind: str) -> None:
        with pytest.raises(UnsupportedPhoto) as refused:
            inspect(encoded(scene(64, 64), kind))
        assert refused.value.key == "photos.wrong_kind"
        assert str(refused.value.values["kind"])[:4] in refused.value.sentence()

    @pytest.mark.skipif(has_heic, reason="the HEIC extra is installed here")
    def test_heic_is_refused_with_the_way_out(self) -> None:
        heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
        assert refusal(heic) == "photos.heic"
        with pytest.raises(UnsupportedPhoto) as refused:
            inspect(heic)
        assert "Più compatibile" in refused.value.sentence("it")
        assert "Most Compatible" in refused.value.sentence("en")

    def test_random_damage_is_never_anything_but_a_photo_or_a_refusal(self) -> None:
        dice = random.Random(3)
        for kind, options in (("JPEG", {}), ("JPEG", {"progressive": True}), ("PNG", {}), ("WEBP", {})):
            whole = encoded(noisy(96, 64), kind, **options)
            for _ in range(60):
                damaged = bytearray(whole)
                for _ in range(dice.choice((1, 5, 50))):
                    damaged[dice.randrange(len(damaged))] = dice.randrange(256)
                try:
                    inspect(bytes(damaged))
                    derive(bytes(damaged))
                except (UnsupportedPhoto, TooLarge):
                    continue

    def test_never_more_decodes_at_once_than_allowed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        data = encoded(noisy(1200, 900), "PNG")
        now, most, lock, scaled = 0, 0, threading.Lock(), imaging._scaled

        def counted(*arguments: Any, **options: Any) -> Image.Image:
            nonlocal now, most
            with lock:
                now += 1
                most = max(most, now)
            try:
                return scaled(*arguments, **options)
            finally:
                with lock:
                    now -= 1

        monkeypatch.setattr(imaging, "_scaled", counted)
        crowd = [threading.Thread(target=inspect, args=(data,)) for _ in range(8)]
        for one in crowd:
            one.start()
        for one in crowd:
            one.join()
        assert most == imaging.DECODES_AT_ONCE


class TestHints:
    @pytest.mark.parametrize(
        ("refs", "expected"),
        [
            (("N", "E"), (11.875, 45.4)),
            (("S", "E"), (11.875, -45.4)),
            (("N", "W"), (-11.875, 45.4)),
            (("n", "e"), (11.875, 45.4)),
        ],
    )
    def test_place_with_hemisphere(self, refs: tuple[str, str], expected: tuple[float, float]) -> None:
        place = inspect(with_gps((45, 24, 0), (11, 52, 30), lat_ref=refs[0], lon_ref=refs[1])).place
        assert place
        assert (place.lon, place.lat) == pytest.approx(expected)

    @pytest.mark.parametrize(
        ("lat", "lon", "refs"),
        [
            ((0, 0, 0), (0, 0, 0), ("N", "E")),
            ((91, 0, 0), (11, 0, 0), ("N", "E")),
            ((45, 0, 0), (181, 0, 0), ("N", "E")),
            ((45, 0), (11, 0), ("N", "E")),
            ((45, 0, 0), (11, 0, 0), ("", "")),
            ((45, 0, 0), (11, 0, 0), ("X", "Y")),
        ],
    )
    def test_a_place_that_cannot_be_is_no_hint(
        self, lat: tuple[int, ...], lon: tuple[int, ...], refs: tuple[str, str]
    ) -> None:
        assert inspect(with_gps(lat, lon, lat_ref=refs[0], lon_ref=refs[1])).place is None

    def test_a_division_by_zero_is_no_hint(self) -> None:
        sound = with_gps((45, 24, 0), (11, 52, 30))
        degrees = struct.pack(">II", 45, 1) if struct.pack(">II", 45, 1) in sound else struct.pack("<II", 45, 1)
        assert sound.count(degrees) == 1
        assert inspect(sound.replace(degrees, bytes(8))).place is None

    @pytest.mark.parametrize("name", ["OffsetTimeOriginal", "OffsetTime"])
    def test_time_with_offset(self, name: str) -> None:
        facts = inspect(with_time("2026:07:03 08:30:00", **{name: "+02:00"}))
        assert facts.taken_at == datetime(2026, 7, 3, 6, 30, tzinfo=UTC)

    def test_time_without_offset_is_roman_unless_said(self) -> None:
        data = with_time("2026:01:03 08:30:00")
        assert inspect(data).taken_at == datetime(2026, 1, 3, 7, 30, tzinfo=UTC)
        chicago = timezone(timedelta(hours=-6))
        assert inspect(data, clock=chicago).taken_at == datetime(2026, 1, 3, 14, 30, tzinfo=UTC)

    @pytest.mark.parametrize("taken", ["0000:00:00 00:00:00", "2026:13:01 00:00:00", "ieri", "", "    :  :     :  :  "])
    def test_a_time_that_cannot_be_is_no_hint(self, taken: str) -> None:
        assert inspect(with_time(taken)).taken_at is None

    def test_an_offset_that_cannot_be_is_left_aside(self) -> None:
        facts = inspect(with_time("2026:01:03 08:30:00", OffsetTime="??"))
        assert facts.taken_at == datetime(2026, 1, 3, 7, 30, tzinfo=UTC)

    @pytest.mark.parametrize("kind", ["PNG", "WEBP"])
    def test_other_formats_give_hints_too(self, kind: str) -> None:
        exif = opened(with_gps((45, 24, 0), (11, 52, 30))).getexif()
        exif[ExifTags.Base.Orientation] = 6
        facts = inspect(encoded(scene(), kind, exif=exif))
        assert facts.place
        assert (facts.width, facts.height) == (300, 400)

    @pytest.mark.parametrize("exif", [b"", b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0" + bytes(500)])
    def test_broken_exif_is_no_hint_and_no_harm(self, exif: bytes) -> None:
        facts = inspect(encoded(scene(), exif=exif))
        assert (facts.width, facts.place, facts.taken_at) == (400, None, None)


class TestWhatComesOfIt:
    def test_sizes(self) -> None:
        copies = derive(encoded(scene(2000, 1000)))
        assert {name: (copy.width, copy.height) for name, copy in copies.items()} == {
            "large": (1600, 800),
            "medium": (640, 320),
            "small": (160, 80),
        }
        assert all(opened(copy.data).size == (copy.width, copy.height) for copy in copies.values())

    @pytest.mark.parametrize("size", [(1, 1), (1, 10_000), (10_000, 1), (161, 7), (1600, 1600), (4032, 3024)])
    def test_never_enlarged_and_never_nothing(self, size: tuple[int, int]) -> None:
        for name, copy in derive(encoded(Image.new("RGB", size, RIGHT))).items():
            assert max(copy.width, copy.height) == min(max(size), DERIVATIVES[name])
            assert min(copy.width, copy.height) >= 1
            assert close(colour(opened(copy.data), 0, 0), RIGHT)

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_upright(self, orientation: int) -> None:
        undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Pillow's transpositions that make each orientation
        stored = scene()
        if orientation in undo:
            stored = stored.transpose(Image.Transpose(undo[orientation]))
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = orientation
        data = encoded(stored, exif=exif, quality=95)
        facts = inspect(data)
        assert (facts.width, facts.height) == (400, 300)
        assert facts.dhash == inspect(encoded(scene(), quality=95)).dhash
        for copy in derive(data).values():
            upright = opened(copy.data)
            assert close(colour(upright, 0.05, 0.05), (255, 255, 255))
            assert close(colour(upright, 0.25, 0.5), LEFT)
            assert close(colour(upright, 0.75, 0.5), RIGHT)

    def test_nothing_of_the_old_metadata_is_left(self) -> None:
        exif = opened(with_gps((45, 24, 0), (11, 52, 30))).getexif()
        exif[ExifTags.Base.Artist] = "Nome Cognome"
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        data = encoded(
            scene(), exif=exif, icc_profile=profile, comment=b"scattata da casa mia",
            xmp=b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>Nome Cognome</x:xmpmeta>", dpi=(300, 300),
        )  # fmt: skip
        assert all(secret in data for secret in (b"Exif", b"Nome Cognome", b"ICC_PROFILE", b"casa mia", b"xmpmeta"))
        for copy in derive(data).values():
            assert_clean(copy.data)
            assert not re.search(rb"Nome|casa mia|xmpmeta", copy.data)

    @pytest.mark.parametrize("kind", ["PNG", "WEBP"])
    def test_nor_that_of_other_formats(self, kind: str) -> None:
        exif = opened(with_gps((45, 24, 0), (11, 52, 30))).getexif()
        for copy in derive(encoded(scene(), kind, exif=exif, xmp=b"<xmp>segreto</xmp>")).values():
            assert_clean(copy.data)

    def test_nor_what_hides_behind_the_end(self) -> None:
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as packed:
            packed.writestr("virus.exe", b"MZ segreto")
        both = encoded(scene()) + archive.getvalue()
        assert zipfile.is_zipfile(io.BytesIO(both))
        for copy in derive(both).values():
            assert_clean(copy.data)
            assert not zipfile.is_zipfile(io.BytesIO(copy.data))

    def test_of_a_burst_the_first(self) -> None:
        burst = encoded(scene(), "MPO", save_all=True, append_images=[Image.new("RGB", (400, 300), "black")])
        assert inspect(burst).format == "jpeg"
        for copy in derive(burst).values():
            assert_clean(copy.data)
            assert close(colour(opened(copy.data), 0.75, 0.5), RIGHT)

    @pytest.mark.parametrize("kind", ["WEBP", "PNG"])
    def test_of_an_animation_the_first(self, kind: str) -> None:
        frames = [Image.new("RGB", (400, 300), shade) for shade in ("black", "white")]
        moving = encoded(scene(), kind, save_all=True, append_images=frames, duration=50)
        assert inspect(moving).width == 400
        assert close(colour(opened(derive(moving)["large"].data), 0.75, 0.5), RIGHT)

    @pytest.mark.parametrize("kind", ["PNG", "WEBP"])
    def test_what_is_transparent_becomes_white(self, kind: str) -> None:
        glass = Image.new("RGBA", (2000, 1500), (0, 0, 0, 0))
        glass.paste(RIGHT, (1000, 0, 2000, 1500))
        for copy in derive(encoded(glass, kind)).values():
            assert close(colour(opened(copy.data), 0.25, 0.5), (255, 255, 255))
            assert close(colour(opened(copy.data), 0.75, 0.5), RIGHT)

    def test_palette_with_transparency(self) -> None:
        glass = Image.new("RGBA", (300, 200), (0, 0, 0, 0))
        glass.paste((*RIGHT, 255), (150, 0, 300, 200))
        data = encoded(glass.quantize(16, method=Image.Quantize.FASTOCTREE), "PNG")
        assert Image.open(io.BytesIO(data)).mode == "P"
        large = opened(derive(data)["large"].data)
        assert close(colour(large, 0.25, 0.5), (255, 255, 255))
        assert close(colour(large, 0.75, 0.5), RIGHT)

    def test_sixteen_bits(self) -> None:
        grey = Image.new("I;16", (200, 100), 32768)
        large = opened(derive(encoded(grey, "PNG"))["large"].data)
        assert close(colour(large, 0.5, 0.5), (128, 128, 128), by=2)

    @pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
    def test_every_mode_of_png(self, mode: str) -> None:
        picture = scene(mode="I").convert("I;16") if mode == "I;16" else scene(mode=mode)
        assert inspect(encoded(picture, "PNG")).width == 400
        assert derive(encoded(picture, "PNG"))["small"].width == 160

    def test_printing_colours(self) -> None:
        large = opened(derive(encoded(scene(mode="CMYK"), quality=95))["large"].data)
        assert large.mode == "RGB"
        assert close(colour(large, 0.75, 0.5), RIGHT, by=20)

    def test_grey_stays_grey(self) -> None:
        assert opened(derive(encoded(scene(mode="L")))["large"].data).mode == "L"

    def test_a_broken_profile_is_left_aside(self) -> None:
        large = opened(derive(encoded(scene(), icc_profile=b"\0" * 300))["large"].data)
        assert close(colour(large, 0.75, 0.5), RIGHT)

    def test_other_colours_become_srgb(self) -> None:
        lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
        assert close(colour(opened(derive(encoded(scene(), icc_profile=lab))["large"].data), 0.75, 0.5), RIGHT)
        wide = gamma_profile()
        grey = Image.new("RGB", (64, 64), (128, 128, 128))
        seen = colour(opened(derive(encoded(grey, icc_profile=wide, quality=95))["large"].data), 0.5, 0.5)
        assert close(seen, (188, 188, 188), by=4)  # linear 0.5 is 188 in sRGB

    def test_the_same_bytes_each_time(self) -> None:
        data = encoded(noisy())
        assert derive(data) == derive(data)


def gamma_profile() -> bytes:
    """The sRGB primaries with linear light: a profile that visibly is not sRGB."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    linear = b"curv" + bytes(8)
    changed = bytearray(srgb.replace("sRGB".encode("utf-16-be"), "LINE".encode("utf-16-be")))
    for at in range(132, 132 + 12 * int.from_bytes(srgb[128:132], "big"), 12):
        if srgb[at : at + 4] in {b"rTRC", b"gTRC", b"bTRC"}:
            offset, _ = struct.unpack_from(">II", srgb, at + 4)
            changed[offset : offset + len(linear)] = linear
            struct.pack_into(">I", changed, at + 8, len(linear))
    return bytes(changed)


MALFORMED: dict[str, str | None] = {
    "broken_data_stream.png": "photos.broken",
    "broken_exif_dpi.jpg": None,
    "decompression_bomb.gif": "photos.wrong_kind",
    "decompression_bomb.ico": "photos.wrong_kind",
    "decompression_bomb_extents.gif": "photos.wrong_kind",
    "empty_gps_ifd.jpg": None,
    "exif.avif": "photos.wrong_kind",
    "exif.png": None,
    "exif_gps.jpg": None,
    "exif_gps_typeerror.jpg": None,
    "exif_typeerror.jpg": None,
    "hopper_bad_exif.jpg": None,
    "invalid-exif.jpg": None,
    "multiple_exif.jpg": None,
    "no-dpi-in-exif.jpg": None,
    "png_decompression_dos.png": "photos.broken",
    "pngtest_bad.png.bin": "photos.no_photo",
    "sugarshack_bad_mpo_header.jpg": None,
    "truncated_app14.jpg": None,
    "truncated_end_chunk.png": "photos.broken",
    "truncated_exif_dpi.jpg": None,
    "truncated_image.png": "photos.broken",
    "truncated_jpeg.jpg": "photos.broken",
}
"""The fate of each: None where the picture itself is whole and only its metadata is broken."""


def sample(folder: str, name: str) -> bytes:
    return (IMAGES / folder / name).read_bytes()


def names(folder: str) -> list[str]:
    return sorted(path.name for path in (IMAGES / folder).glob("*") if path.suffix != ".tsv")


@needs_images
class TestRealFiles:
    def test_every_malformed_file_has_a_fate(self) -> None:
        assert names("malformed") == sorted(MALFORMED)

    @pytest.mark.timeout(10)
    @pytest.mark.parametrize("name", sorted(MALFORMED))
    def test_malformed(self, name: str) -> None:
        data, key = sample("malformed", name), MALFORMED[name]
        if key:
            assert refusal(data) == key
            return
        assert inspect(data).place is None
        for copy in derive(data).values():
            assert_clean(copy.data)

    def test_the_eight_orientations_come_out_alike(self) -> None:
        first = sample("orientation", "landscape_1.jpg")
        expected = opened(derive(first)["small"].data)
        for name in names("orientation"):
            data = sample("orientation", name)
            facts = inspect(data)
            assert (facts.width, facts.height) == (600, 450)
            assert ((facts.dhash ^ inspect(first).dhash) & 2**64 - 1).bit_count() <= 2
            difference = ImageChops.difference(expected, opened(derive(data)["small"].data))
            # The eight files differ a little themselves; turned wrongly they would differ by about 50.
            assert max(ImageStat.Stat(difference).mean) < 10

    def test_street_photos_know_their_place_and_time(self) -> None:
        for name in names("street-gps"):
            data = sample("street-gps", name)
            facts = inspect(data)
            assert facts.place
            assert -2.7 < facts.place.lon < -2.4
            assert 51.3 < facts.place.lat < 51.5
            assert facts.taken_at
            assert facts.taken_at.year == 2017
            for copy in derive(data).values():
                assert_clean(copy.data)
                assert (copy.width > copy.height) == (facts.width > facts.height)

    def test_photos_of_arezzo_are_in_arezzo(self) -> None:
        for name in names("exif-gps-arezzo"):
            place = inspect(sample("exif-gps-arezzo", name)).place
            assert place
            assert 11.8 < place.lon < 11.9
            assert 43.4 < place.lat < 43.5

    @pytest.mark.parametrize("name", ["IMG_5195_gps.HEIC", "small.heif"])
    def test_heic(self, name: str) -> None:
        data = sample("heic", name)
        if not has_heic:
            assert refusal(data) == "photos.heic"
            return
        assert inspect(data).format == "heic"
        assert refusal(data[: len(data) // 2]) == "photos.broken"
        for copy in derive(data).values():
            assert_clean(copy.data)


def test_half_of_the_work_is_saved_by_the_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """The decoder must be asked for the fitted size: asked for the square box it would decode every pixel."""
    decoded: list[tuple[int, int]] = []
    eight_bit: Callable[[Image.Image], Image.Image] = imaging._eight_bit

    def noted(picture: Image.Image) -> Image.Image:
        decoded.append(picture.size)
        return eight_bit(picture)

    monkeypatch.setattr(imaging, "_eight_bit", noted)
    derive(encoded(Image.new("RGB", (4032, 3024))))
    assert decoded == [(2016, 1512)]
