"""Named roads out of an OpenStreetMap extract (`.osm.pbf`), as lines in WGS84."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from geo.reading import UnreadableLayer

_HEADER: Final = b"OSMHeader"
"""What the first block of such a file is called."""


class NamedLine(NamedTuple):
    """A piece of a named road."""

    name: str
    shape: BaseGeometry


def is_extract(path: Path) -> bool:
    """Whether the file is an OpenStreetMap extract, by its first bytes."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return _HEADER in file.read(64)


def named_lines(path: Path, area: BaseGeometry | None) -> list[NamedLine]:
    """The named roads that touch the box around `area` (all of them without one). Raises UnreadableLayer.

    The extract is read once, from front to end, at; memory holds only what is found.
    """
    # Loading GDAL takes a while, and most commands never need it.
    import pyogrio  # noqa: PLC0415
    import pyogrio.errors  # noqa: PLC0415
    import pyogrio.raw  # noqa: PLC0415

    with TemporaryDirectory(prefix="lampione-") as folder:
        pyogrio.set_gdal_config_options({"CPL_TMPDIR": folder, "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".none"})
        source = Path(folder) / "source.osm.pbf"
        source.symlink_to(path.resolve())
        box = tuple(float(side) for side in shapely.bounds(area)) if area is not None else None
        try:
            about, _, shapes, columns = pyogrio.raw.read(
                str(source), layer="lines", columns=["name", "highway"], where="highway IS NOT NULL", bbox=box
            )
        except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
            raise UnreadableLayer("broken", path=path.name, problem=str(error)) from error
        finally:
            pyogrio.set_gdal_config_options({"CPL_TMPDIR": None})
    names = columns[[str(field) for field in about["fields"]].index("name")]
    lines = shapely.from_wkb(shapes, on_invalid="ignore")
    return [
        NamedLine(str(name), line)
        for name, line in zip(names, np.asarray(lines, dtype=object), strict=True)
        if isinstance(name, str) and name.strip() and line is not None
    ]
