"""`./lampione report`: a file for the council, whole or not there."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from pypdf import PdfReader

from city.errors import InvalidInput, NotFound
from commands import monthly_report
from tests.stories.telling import COAST, reported


def test_the_months_report_is_written_in_each_kind(client: TestClient, tmp_path: Path) -> None:
    for _ in range(5):
        reported(client, COAST, "lampione spento", category="lamp-out")
    for _ in range(6):
        reported(client, COAST, "musica alta", category="noise")
    pdf = monthly_report.write("pesaro", None, tmp_path / "relazione.pdf", "it", is_internal=False)
    assert "Pesaro: le segnalazioni di" in PdfReader(io.BytesIO(pdf.read_bytes())).pages[0].extract_text()
    page = monthly_report.write("pesaro", None, tmp_path / "relazione.html", "en", is_internal=True)
    assert "For internal use" in page.read_text("utf-8")
    table = monthly_report.write("pesaro", None, tmp_path / "relazione.csv", "it", is_internal=False)
    assert table.read_bytes().startswith(b"\xef\xbb\xbfsection;key;")
    assert {path.name for path in tmp_path.iterdir()} == {"relazione.pdf", "relazione.html", "relazione.csv"}


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        (("pesaro", None, "relazione.docx"), InvalidInput),
        (("pesaro", "2026-13", "relazione.pdf"), InvalidInput),
        (("pesaro", None, "nowhere/relazione.html"), InvalidInput),
        (("nowhere", None, "relazione.pdf"), NotFound),
    ],
)
def test_what_cannot_be_written_is_said_and_leaves_nothing(
    client: TestClient, tmp_path: Path, asked: tuple[str, str | None, str], error: type[Exception]
) -> None:
    municipality, month, file = asked
    with pytest.raises(error):
        monthly_report.write(municipality, month, tmp_path / file, "it", is_internal=False)
    assert not list(tmp_path.iterdir())
