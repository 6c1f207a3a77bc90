"""How many photos a second our pipeline makes ready, beside pyvips doing the same three sizes.

Same file, same machine, one photo of either in turn; pyvips runs in the peers' environment (`bench.peers`) and takes
its own time, with one thread as ours and with as many as it likes. It writes progressive copies as ours do, and once
plain ones. Ours does more: it makes certain that the file is whole, and looks at the colour profile.
"""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Final, NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageDraw

from bench import peers
from bench.results import Result
from city.reports.imaging import derive
from city.settings import PROJECT

SIZE: Final = (4000, 3000)
LEAST_SHARE: Final = 0.8
ROUNDS: Final = 15
WARM_UP: Final = 2
LYING: Final = 6
"""EXIF's number for a picture that is to be turned by a quarter."""
REAL: Final = PROJECT.parent / "shared" / "data" / "images" / "street-gps"
MOST_REAL: Final = 3
PEER: Final = Path(__file__).with_name("photos_pyvips.py")


class Setting(NamedTuple):
    """How the peer works; `threads` 0: as many as it likes."""

    name: str
    threads: int
    progressive: bool
    target: float | None


SETTINGS: Final = (
    Setting("pyvips", 1, progressive=True, target=LEAST_SHARE),
    Setting("pyvips, plain JPEG", 1, progressive=False, target=None),
    Setting("pyvips, all cores", 0, progressive=True, target=None),
)


def measure(folder: Path) -> list[Result]:
    """A drawn photo of 12 million pixels and, where they are, real ones. Needs the peers.

    Raises Unavailable where the peers cannot be had.
    """
    python = peers.interpreter()
    photos = [("drawn, 12 MP", drawn(folder / "photo.jpg"))]
    if REAL.is_dir():
        photos += [(f"real, {path.stem}", path) for path in sorted(REAL.glob("*.[Jj][Pp][Gg]"))[:MOST_REAL]]
    return [result for name, path in photos for result in _beside(python, name, path)]


def drawn(path: Path) -> Path:
    """A photo as a telephone takes it: 12 million pixels, gradients, edges, noise, lying on its side; 3 to 4 MB."""
    if path.exists():
        return path
    chance = np.random.default_rng(3)
    width, height = SIZE
    across, down = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    levels = np.stack([120 + 90 * across, 90 + 110 * down, 150 - 60 * across * down], axis=-1)
    levels += chance.normal(0, 5, levels.shape)
    picture = Image.fromarray(levels.clip(0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(picture)
    for _ in range(400):
        x, y = chance.integers(0, width), chance.integers(0, height)
        wide, high = chance.integers(10, 400, 2)
        colour = tuple(int(level) for level in chance.integers(0, 256, 3))
        pen.rectangle((int(x), int(y), int(x + wide), int(y + high)), outline=colour, width=int(chance.integers(1, 9)))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = LYING
    written = io.BytesIO()
    picture.save(written, "JPEG", quality=85, exif=exif)
    path.write_bytes(written.getvalue())
    return path


def _beside(python: Path, name: str, path: Path) -> list[Result]:
    data = path.read_bytes()
    with contextlib.ExitStack() as open_until_end:
        asks = [open_until_end.enter_context(_peer(python, path, setting)) for setting in SETTINGS]
        ours: list[float] = []
        theirs: list[list[float]] = [[] for _ in SETTINGS]
        for number in range(WARM_UP + ROUNDS):
            times = [_timed(data), *(ask() for ask in asks)]
            if number >= WARM_UP:
                ours.append(times[0])
                for column, taken in zip(theirs, times[1:], strict=True):
                    column.append(taken)
    return [
        Result(f"photo ({name}) / {setting.name}", _rate(ours), _rate(taken), "photos/s", setting.target)
        for setting, taken in zip(SETTINGS, theirs, strict=True)
    ]


@contextlib.contextmanager
def _peer(python: Path, path: Path, setting: Setting) -> Iterator[Callable[[], float]]:
    """A question that answers with the milliseconds of one photo."""
    environment = {**os.environ, "VIPS_CONCURRENCY": str(setting.threads)}
    command = [str(python), "-P", str(PEER), str(path), "progressive" if setting.progressive else "plain"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd=PROJECT, text=True
    ) as process:
        try:
            yield lambda: _asked(process.stdin, process.stdout)
        finally:
            process.terminate()


def _asked(question: IO[str] | None, answer: IO[str] | None) -> float:
    assert question is not None
    assert answer is not None
    question.write("\n")
    question.flush()
    return float(answer.readline().split()[0])


def _timed(data: bytes) -> float:
    begun = time.perf_counter()
    derive(data)
    return (time.perf_counter() - begun) * 1000


def _rate(milliseconds: Sequence[float]) -> float:
    """Of the quickest round: what else the machine does only makes one slower."""
    return 1000 / min(milliseconds)
