"""The classifier that is made of the seed's phrases."""

from __future__ import annotations

import hashlib
from pathlib import Path

from city.reports import trained
from city.reports.classification import FORMAT, Classifier, UnusableModel
from city.reports.training.learning import REVISION, read_training_set, train
from city.settings import settings
from commands.seeding.files import SEED, Progress, categories


def ensure_classifier(progress: Progress) -> bool:
    """Train the classifier on the seed's phrases if it is missing or older than them; whether it was.

    One that was trained since on staff's corrections stays until the phrases or its form change.
    """
    if _stamp().is_file() and _stamp().read_text("utf-8") == _training_stamp() and _is_usable(settings().classifier):
        return False
    progress("seeding.training", 0.0)
    made = train(
        read_training_set(SEED / "training"),
        progress=lambda share: progress("seeding.training", share),
        groups=groups_of_categories(),
    )
    keep_classifier(made)
    return True


def keep_classifier(made: Classifier) -> None:
    """Put the classifier where every process finds it, and note which phrases it has learned."""
    settings().classifier.parent.mkdir(parents=True, exist_ok=True)
    made.save(settings().classifier)
    _stamp().write_text(_training_stamp(), "utf-8")
    trained.forget()


def _stamp() -> Path:
    return settings().classifier.with_suffix(".seed")


def groups_of_categories() -> dict[str, str]:
    """The seed's categories and the group of each."""
    return {category["slug"]: group["slug"] for group, category in categories()}


def _training_stamp() -> str:
    digest = hashlib.sha256(f"{FORMAT} {REVISION}".encode())
    for path in [SEED / "taxonomy.toml", *sorted((SEED / "training").glob("*.tsv"))]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _is_usable(path: Path) -> bool:
    try:
        Classifier.load(path)
    except (OSError, UnusableModel):
        return False
    return True
