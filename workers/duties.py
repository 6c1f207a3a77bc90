"""The chores of Lampione: what is done every so often without anybody asking."""

from __future__ import annotations

from typing import Final

from city.database import provincial
from city.registry import people
from city.reports import photos
from geo import pyramid
from workers.chores import Chore


def fold_tiles() -> None:
    """Fold the changes of the map into its cells, batch by batch."""
    while True:
        with provincial() as session:
            folded = pyramid.fold(session.raw)
        if folded < pyramid.BATCH:
            break
    with provincial() as session:
        pyramid.forget_folds(session.raw)


def sweep_photos() -> None:
    """Throw away originals of reports that did not come to be."""
    with provincial() as session:
        photos.sweep(session)


def forget_sign_ins() -> None:
    """Forget expired sign-ins."""
    with provincial() as session:
        people.forget_expired(session)


CHORES: Final = (
    Chore("fold_tiles", 5, fold_tiles),
    Chore("sweep_photos", 3600, sweep_photos),
    Chore("forget_sign_ins", 3600, forget_sign_ins),
)
