"""The photos of a report: what may come in, and what comes of it.

    bytes ── inspect ──► PhotoFacts   in the request: certain that it is a whole photo; hints of place and time
    bytes ── derive  ──► Derivatives  in the job: upright, sRGB, new bytes without any of the old metadata

Photos fail closed. What a file is, its content says, never its name; what cannot be decoded to its end is refused
with a sentence that helps; the original is never shown.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import math
import re
import struct
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from hashlib import sha256
from typing import Final
from zoneinfo import ZoneInfo

from PIL import ExifTags, Image, ImageCms

from city.errors import LampioneError, TooLarge, UnsupportedPhoto
from geo.place import Place

ROME: Final = ZoneInfo("Europe/Rome")
DERIVATIVES: Final = {"large": 1600, "medium": 640, "small": 160}
"""Name → longest side in pixels, largest first."""
JPEG_QUALITY: Final = 80

DECODES_AT_ONCE: Final = 2
LARGE_PIXELS: Final = 16_000_000
MOST_JPEG_SCANS: Final = 100
"""Cameras and the usual programs write 1 to 20."""

_HASH_COLUMNS: Final = 9
_HASH_ROWS: Final = 8
_HASH_BOX: Final = 64
_MEGABYTE: Final = 1024 * 1024
_MEGAPIXEL: Final = 1_000_000

_DECODING = threading.BoundedSemaphore(DECODES_AT_ONCE)
_DECODING_LARGE = threading.BoundedSemaphore(1)
"""A photo of 50 million pixels needs up to 800 megabytes unless it is a plain JPEG: one at a time."""

_HUSHED: Final = ("ignore", None, Warning, re.compile(r"PIL\."), 0)

_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_LYING: Final = {5, 6, 7, 8}

_READ: Final = {b"\xff\xd8\xff": "JPEG", b"\x89PNG\r\n\x1a\n": "PNG"}
_REFUSED: Final = {
    b"GIF8": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"BM": "BMP",
    b"\0\0\1\0": "ICO",
    b"%PDF": "PDF",
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"8BPS": "PSD",
    b"<svg": "SVG",
    b"PK\3\4": "ZIP",
}
_HEIC_BRANDS: Final = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_SHORTEST_BOX: Final = 8
_LONG_BOX: Final = 1
"""The size that says: the true size follows in eight bytes."""
_AVIF_BRANDS: Final = {b"avif", b"avis"}

_NEXT_JPEG_MARKER: Final = re.compile(rb"\xff[\x02-\xcf\xd8-\xfe]")
_JPEG_SCAN: Final = 0xDA
_JPEG_END: Final = 0xD9

_EASTERNMOST: Final = 180
_NORTHERNMOST: Final = 90

_PROFILE_SPACE: Final = {"RGB": "RGB", "CMYK": "CMYK", "L": "GRAY"}


@dataclass(frozen=True, slots=True)
class PhotoLimits:
    """How large a photo may be."""

    most_bytes: int = 20 * _MEGABYTE
    most_pixels: int = 50 * _MEGAPIXEL


@dataclass(frozen=True, slots=True)
class PhotoFacts:
    """What a photo says of itself."""

    format: str
    """`jpeg`, `png`, `webp` or `heic`."""
    width: int
    """Pixels, upright."""
    height: int
    place: Place | None
    """Where its EXIF says it was taken: a hint that anybody can forge, and that many cameras leave out."""
    taken_at: datetime | None
    """When its EXIF says it was taken: also a hint."""
    dhash: int
    """Difference hash of the upright picture as a signed 64-bit integer; similar photos differ in few bits."""
    sha256: bytes
    """Of the file as it came, 32 bytes."""


@dataclass(frozen=True, slots=True)
class Derivative:
    """One smaller, clean copy: JPEG bytes, width and height in pixels."""

    data: bytes
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class _Opened:
    """A photo whose head has been read, and nothing decoded yet; sides as stored, before it is turned upright."""

    picture: Image.Image
    kind: str
    width: int
    height: int


def inspect(data: bytes, limits: PhotoLimits | None = None, *, clock: tzinfo = ROME) -> PhotoFacts:
    """Make certain that `data` is a whole photo within the limits, and read what it says of itself.

    `clock` is the zone of a camera that does not write its offset from UTC. Of an animation or a burst, the first
    picture counts.

    Every pixel is decoded: a JPEG at an eighth of its size, which still reads its compressed data to the last byte.
    A JPEG that was cut and then closed again properly is let through: the missing part is grey.

    Raises UnsupportedPhoto (another kind of file, or damaged) and TooLarge (bytes or pixels).
    """
    with _DECODING:
        photo = _opened(data, limits or PhotoLimits())
        with _failing_closed():
            tiny = _scaled(photo, _HASH_BOX, grey=True)
    orientation = _orientation(photo)
    lies = orientation in _LYING
    return PhotoFacts(
        format=photo.kind.lower(),
        width=photo.height if lies else photo.width,
        height=photo.width if lies else photo.height,
        place=_place(photo.picture),
        taken_at=_taken_at(photo.picture, clock),
        dhash=_dhash(_upright(tiny, orientation)),
        sha256=sha256(data).digest(),
    )


def derive(data: bytes, limits: PhotoLimits | None = None) -> dict[str, Derivative]:
    """The clean copies of a photo, by the names of `DERIVATIVES`; decoded once, never enlarged.

    Upright, in sRGB, on white where it was transparent, and without a byte of what came with it: no EXIF, place,
    XMP, colour profile, comment, thumbnail, second picture or data behind the end.

    Raises UnsupportedPhoto and TooLarge, as `inspect` does.
    """
    with _DECODING:
        photo = _opened(data, limits or PhotoLimits())
        with _failing_closed():
            picture = _in_srgb(_scaled(photo, max(DERIVATIVES.values())), photo.picture.info.get("icc_profile"))
            picture = _upright(picture, _orientation(photo))
            derivatives = {}
            for name, box in DERIVATIVES.items():
                # Each from the one before: from the largest, the smallest would cost as much as all the others.
                picture = _resized(picture, _fitted(picture.size, box))
                derivatives[name] = Derivative(_jpeg(picture), *picture.size)
    return derivatives


# What the file is, before anything is decoded


def _opened(data: bytes, limits: PhotoLimits) -> _Opened:
    if not data:
        raise UnsupportedPhoto("photos.empty", field="photos")
    if len(data) > limits.most_bytes:
        raise TooLarge(
            "photos.too_many_bytes",
            field="photos",
            megabytes=math.ceil(len(data) / _MEGABYTE),
            most=limits.most_bytes // _MEGABYTE,
        )
    kind = _kind(data)
    with _failing_closed():
        if kind == "WEBP":
            # Its decoder takes memory for the whole picture as soon as it is opened.
            _check_pixels(_webp_size(data), limits)
        if kind == "JPEG" and _has_too_many_scans(data):
            raise UnsupportedPhoto("photos.broken", field="photos")
        try:
            picture = _heic_picture(data, limits) if kind == "HEIC" else Image.open(io.BytesIO(data), formats=(kind,))
        except Image.DecompressionBombError as error:
            raise _too_many_pixels(limits) from error
        _check_pixels(picture.size, limits)
    return _Opened(picture, kind, *picture.size)


@contextmanager
def _failing_closed() -> Iterator[None]:
    """Whatever a decoder trips over is a refusal: the bytes come from strangers, and its errors are of any class."""
    _hush_pillow()
    try:
        yield
    except LampioneError:
        raise
    except Exception as error:
        raise UnsupportedPhoto("photos.broken", field="photos") from error


def _hush_pillow() -> None:
    """Pillow warns of every flaw in a stranger's metadata, up to thousands a file; nobody would read it."""
    if _HUSHED not in warnings.filters:
        warnings.filterwarnings("ignore", category=Warning, module=r"PIL\.")


def _kind(data: bytes) -> str:
    """JPEG, PNG, WEBP or (with the extra) HEIC, by content. Raises UnsupportedPhoto for anything else."""
    for start, kind in _READ.items():
        if data.startswith(start):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp":
        return _boxed_kind(data)
    for start, kind in _REFUSED.items():
        if data.startswith(start):
            raise UnsupportedPhoto("photos.wrong_kind", field="photos", kind=kind)
    raise UnsupportedPhoto("photos.no_photo", field="photos")


def _boxed_kind(data: bytes) -> str:
    """HEIC where its extra is installed. HEIC, AVIF and videos share one container and differ in their brands."""
    brands = {data[8:12], *(data[at : at + 4] for at in range(16, min(int.from_bytes(data[:4], "big"), 256), 4))}
    if brands & _AVIF_BRANDS:
        raise UnsupportedPhoto("photos.wrong_kind", field="photos", kind="AVIF")
    if not brands & _HEIC_BRANDS:
        raise UnsupportedPhoto("photos.video", field="photos")
    if importlib.util.find_spec("pillow_heif") is None:
        raise UnsupportedPhoto("photos.heic", field="photos")
    return "HEIC"


def _heic_picture(data: bytes, limits: PhotoLimits) -> Image.Image:
    # Its decoder is not free software of our kind (GPL): an extra that the operator installs, never one of ours.
    _check_boxes(data)
    heic = importlib.import_module("pillow_heif").open_heif(io.BytesIO(data))
    _check_pixels(heic.size, limits)
    picture: Image.Image = heic.to_pillow()
    return picture


def _check_boxes(heic: bytes) -> None:
    """Raise ValueError where the file ends inside a box: the decoder would leave the missing tiles black."""
    at = 0
    while at < len(heic):
        size = int.from_bytes(heic[at : at + 4], "big")
        if size == _LONG_BOX:
            size = int.from_bytes(heic[at + 8 : at + 16], "big")
        at += size or len(heic) - at
        if at > len(heic) or 0 < size < _SHORTEST_BOX:
            raise ValueError


def _check_pixels(size: tuple[int, int], limits: PhotoLimits) -> None:
    width, height = size
    if width * height > limits.most_pixels:
        raise _too_many_pixels(limits)


def _too_many_pixels(limits: PhotoLimits) -> TooLarge:
    return TooLarge("photos.too_many_pixels", field="photos", most=limits.most_pixels // _MEGAPIXEL)


def _webp_size(data: bytes) -> tuple[int, int]:
    """Width and height from the first chunk. Source: RFC 9649, sections 2.5 to 2.7."""
    chunk = data[12:16]
    if chunk == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if chunk == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = struct.unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF


def _has_too_many_scans(jpeg: bytes) -> bool:
    """Whether decoding would never end: each scan may be a few bytes long and still costs a walk over all pixels.

    Measured: 50 million pixels, 26 ms for each scan of 75 bytes; 20 MB of them would take two hours.
    """
    scans, at = 0, 2
    while scans <= MOST_JPEG_SCANS and (marker := _NEXT_JPEG_MARKER.search(jpeg, at)):
        code = jpeg[marker.start() + 1]
        if code == _JPEG_END:
            return False
        scans += code == _JPEG_SCAN
        at = marker.end() + int.from_bytes(jpeg[marker.end() : marker.end() + 2], "big")
    return scans > MOST_JPEG_SCANS


# Pixels


def _scaled(photo: _Opened, box: int, *, grey: bool = False) -> Image.Image:
    """Decode, as small as the longest side `box` allows; without transparency; L, RGB or CMYK; not yet upright."""
    picture = photo.picture
    size = _fitted((photo.width, photo.height), box)
    if photo.kind == "JPEG":
        # The decoder halves its work only if both sides stay above what is asked: hence the fitted size, not the box.
        picture.draft("L" if grey else None, size)
    with _DECODING_LARGE if _needs_much_memory(photo) else nullcontext():
        picture.load()
        picture = _on_white(_resized(_eight_bit(picture), size))
    return picture.convert("L") if grey else picture


def _needs_much_memory(photo: _Opened) -> bool:
    is_plain_jpeg = photo.kind == "JPEG" and "progressive" not in photo.picture.info
    return photo.width * photo.height > LARGE_PIXELS and not is_plain_jpeg


def _fitted(size: tuple[int, int], box: int) -> tuple[int, int]:
    width, height = size
    scale = min(1.0, box / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _resized(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    if picture.size == size:
        return picture
    # Never enlarged: Hamming's filter is made for that, as sharp as the bicubic one and at two thirds of its cost.
    return picture.resize(size, Image.Resampling.HAMMING, reducing_gap=2.0)


def _eight_bit(picture: Image.Image) -> Image.Image:
    """The same picture in a mode that can be resized: L, RGB, CMYK or, where it is transparent, RGBA."""
    if picture.has_transparency_data:
        return picture.convert("RGBA")
    if picture.mode in _PROFILE_SPACE:
        return picture
    if picture.mode == "1":
        return picture.convert("L")
    if picture.mode.startswith("I"):
        return picture.convert("I").point(lambda level: level * (1 / 257)).convert("L")
    return picture.convert("RGB")


def _on_white(picture: Image.Image) -> Image.Image:
    if picture.mode != "RGBA":
        return picture
    paper = Image.new("RGB", picture.size, "white")
    paper.paste(picture, mask=picture.getchannel("A"))
    return paper


def _upright(picture: Image.Image, orientation: int) -> Image.Image:
    return picture.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else picture


def _in_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """The picture in RGB or L as screens show it. A profile that is broken or of other colours is left aside."""
    if profile:
        with suppress(ImageCms.PyCMSError, OSError, ValueError, TypeError):
            picture = _by_profile(picture, profile)
    return picture if picture.mode in {"L", "RGB"} else picture.convert("RGB")


def _by_profile(picture: Image.Image, profile: bytes) -> Image.Image:
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    is_srgb = "sRGB" in ImageCms.getProfileDescription(source)
    if is_srgb or source.profile.xcolor_space.strip() != _PROFILE_SPACE[picture.mode]:
        return picture
    converted = ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    return converted or picture


def _jpeg(picture: Image.Image) -> bytes:
    # Pillow writes the comment it finds here into the new file.
    picture.info.clear()
    written = io.BytesIO()
    picture.save(written, "JPEG", quality=JPEG_QUALITY, progressive=True, subsampling="4:2:0")
    return written.getvalue()


def _dhash(grey: Image.Image) -> int:
    """Whether brightness rises from each of 8 rows of 9 points to the right neighbour, as 64 bits.

    Source: N. Krawetz, "Kind of Like That", 2013.
    """
    levels = grey.resize((_HASH_COLUMNS, _HASH_ROWS), Image.Resampling.BOX).tobytes()
    bits = 0
    for row in range(0, len(levels), _HASH_COLUMNS):
        for at in range(row, row + _HASH_COLUMNS - 1):
            bits = bits << 1 | (levels[at] < levels[at + 1])
    return int.from_bytes(bits.to_bytes(8, "big"), "big", signed=True)


# Hints: a broken one is none. Never before the picture is decoded: looking for the EXIF of a PNG decodes it too, and
# one that has failed once seems whole the second time.


def _orientation(photo: _Opened) -> int:
    """1 to 8 as EXIF counts; 1, upright, where it says nothing sensible or the decoder has turned it already."""
    if photo.kind == "HEIC":
        return 1
    try:
        orientation = int(photo.picture.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001 - the metadata is a stranger's
        return 1
    return orientation if orientation in _UPRIGHT else 1


def _place(picture: Image.Image) -> Place | None:
    try:
        gps = picture.getexif().get_ifd(ExifTags.IFD.GPSInfo)
        place = Place(
            lon=_signed_degrees(gps[ExifTags.GPS.GPSLongitude], gps[ExifTags.GPS.GPSLongitudeRef], "EW"),
            lat=_signed_degrees(gps[ExifTags.GPS.GPSLatitude], gps[ExifTags.GPS.GPSLatitudeRef], "NS"),
        )
    except Exception:  # noqa: BLE001 - the metadata is a stranger's
        return None
    # (0, 0) is what cameras write that have not found their place; NaN fails every comparison.
    on_earth = abs(place.lon) <= _EASTERNMOST and abs(place.lat) <= _NORTHERNMOST
    return place if on_earth and place != (0, 0) else None


def _signed_degrees(degrees_minutes_seconds: Sequence[float], hemisphere: str, known: str) -> float:
    """Decimal degrees, negative in the second of the two `known` hemispheres. Raises ValueError for another one."""
    degrees, minutes, seconds = (float(part) for part in degrees_minutes_seconds)
    sign = (1, -1)[known.index(hemisphere.strip("\0 ").upper() or "?")]
    return sign * (degrees + minutes / 60 + seconds / 3600)


def _taken_at(picture: Image.Image, clock: tzinfo) -> datetime | None:
    """The moment the shutter opened, in UTC; by `clock` where the camera did not write its offset."""
    try:
        exif = picture.getexif().get_ifd(ExifTags.IFD.Exif)
        written = str(exif[ExifTags.Base.DateTimeOriginal]).strip("\0 ")
        local = datetime.strptime(written, "%Y:%m:%d %H:%M:%S").replace(tzinfo=clock)
        offset = str(exif.get(ExifTags.Base.OffsetTimeOriginal) or exif.get(ExifTags.Base.OffsetTime) or "")
        return (_with_offset(local, offset.strip("\0 ")) or local).astimezone(UTC)
    except Exception:  # noqa: BLE001 - the metadata is a stranger's
        return None


def _with_offset(local: datetime, offset: str) -> datetime | None:
    try:
        return local.replace(tzinfo=datetime.strptime(offset, "%z").tzinfo)
    except ValueError:
        return None
