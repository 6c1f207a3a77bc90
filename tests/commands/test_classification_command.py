"""`train` learns what staff corrected; `evaluate classification` says how good the classifier is on labelled texts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from rich.console import Console

from city.errors import InvalidInput
from city.reports import trained
from city.settings import settings
from commands import classification
from tests.trials import Staffer

SAYINGS = (
    "zorbo gigante in mezzo alla piazza",
    "ancora lo zorbo davanti a casa",
    "segnalo uno zorbo abbandonato",
    "lo zorbo fa paura ai bambini",
    "zorbo",
)


@pytest.fixture
def own_classifier(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, database: str) -> None:
    """A classifier of this test's own, not yet made."""
    monkeypatch.setenv("LAMPIONE_VAR", str(tmp_path))
    settings.cache_clear()
    trained.forget()


@pytest.mark.timeout(180)
def test_training_learns_what_staff_corrected(
    client: TestClient,
    signed_in: Callable[[str], Staffer],
    own_classifier: None,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    request.addfinalizer(settings.cache_clear)
    clerk = signed_in("operatore.urp@pesaro.example.org")
    for words in SAYINGS:
        place = {"lon": 12.9135, "lat": 43.9098, "description": words}
        report = client.post("/api/v1/reports", json=place).json()
        assert (report["state"], report["triage_reason"]) == ("triage", "triage.no_classifier")
        clerk.change("PUT", report["id"], "category", {"category": "fountain"})
    classification.train(Console(), as_json=True)
    learned = json.loads(capsys.readouterr().out)
    assert learned["corrections"] == len(SAYINGS)
    assert learned["phrases"] > 5000
    trained.forget()
    classifier = trained.classifier()
    assert classifier is not None
    best = classifier.classify("che brutto zorbo").best
    assert best is not None
    assert best.slug == "fountain"


def test_evaluation_measures_labelled_texts(database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "texts.csv"
    file.write_text(
        "testo;tipo\nbuca enorme in via Roma;Buche\nil lampione è spento da ieri;Luce\nciao;Saluti\n", "utf-8"
    )
    labels = tmp_path / "labels.toml"
    labels.write_text('Buche = "pothole"\nLuce = "group:lighting"\nSaluti = "-"\n', "utf-8")
    classification.evaluate(Console(), file, "testo", "tipo", labels, as_json=True)
    figures = json.loads(capsys.readouterr().out)
    assert (figures["n"], figures["top1"], figures["top3"], figures["skipped"]) == (2, 1.0, 1.0, 1)
    assert set(figures) >= {"macro_f1", "coverage", "precision", "calibration_error", "confusion"}

    with pytest.raises(InvalidInput) as refused:
        classification.evaluate(Console(), file, "text", "tipo", labels, as_json=True)
    assert (refused.value.key, refused.value.field) == ("training.no_column", "text")
    labels.write_text('Buche = "holes"\n', "utf-8")
    with pytest.raises(InvalidInput) as unknown:
        classification.evaluate(Console(), file, "testo", "tipo", labels, as_json=True)
    assert unknown.value.key == "training.unknown_label"
