"""The trained classifier of this process: loaded once, and again when it has been trained anew."""

from __future__ import annotations

import threading
import time
from typing import Final

from city.reports.classification import Classifier, UnusableModel
from city.settings import settings

LOOK_EVERY_SECONDS: Final = 2.0


class _Shelf:
    """The classifier lying here, and which file it came from."""

    def __init__(self) -> None:
        self.classifier: Classifier | None = None
        self.stamp: int | None = None
        self.looked_at = float("-inf")
        self.loading = threading.Lock()


_shelf = _Shelf()


def classifier() -> Classifier | None:
    """The classifier, or None where there is none that can be read; then a person decides."""
    if time.monotonic() - _shelf.looked_at < LOOK_EVERY_SECONDS:
        return _shelf.classifier
    with _shelf.loading:
        path = settings().classifier
        try:
            stamp = path.stat().st_mtime_ns
            if stamp != _shelf.stamp:
                _shelf.classifier, _shelf.stamp = Classifier.load(path), stamp
        except (OSError, UnusableModel):
            _shelf.classifier, _shelf.stamp = None, None
        _shelf.looked_at = time.monotonic()
    return _shelf.classifier


def forget() -> None:
    """Look again at the next call."""
    _shelf.looked_at = float("-inf")
