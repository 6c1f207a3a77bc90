"""The peer of `photos`, run by the peers' interpreter: pyvips makes the three copies of a photo for each line read.

    PYTHON -P photos_pyvips.py PHOTO plain|progressive

Each copy is made from the one before, which stays in memory: the fastest way that libvips has for it. For each line on
standard input it prints the milliseconds that one photo took, and the sum of the copies' bytes.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pyvips

BOXES = (1600, 640, 160)
QUALITY = 80


def _copies(data: bytes, *, progressive: bool) -> int:
    """The bytes of the three copies together."""
    image = pyvips.Image.thumbnail_buffer(data, BOXES[0], height=BOXES[0], size="down").copy_memory()
    written = 0
    for box in BOXES:
        if box != BOXES[0]:
            image = image.thumbnail_image(box, height=box, size="down").copy_memory()
        saved = image.jpegsave_buffer(Q=QUALITY, keep="none", interlace=progressive, subsample_mode="on")
        written += len(saved)
    return written


def main() -> None:
    """Until standard input ends."""
    data, progressive = Path(sys.argv[1]).read_bytes(), sys.argv[2] == "progressive"
    for _ in sys.stdin:
        begun = time.perf_counter()
        written = _copies(data, progressive=progressive)
        print((time.perf_counter() - begun) * 1000, written, flush=True)


if __name__ == "__main__":
    main()
