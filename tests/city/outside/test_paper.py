"""Pages on paper: printed by the real press, which reaches nothing but what the page holds."""

from __future__ import annotations

import base64
import io
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader

from city.errors import Unavailable
from city.outside import paper
from city.settings import PROJECT
from tests.trials import any_port

PAGE = '<html lang="it"><head><title>Prova</title></head><body><h1>Più luce</h1>{}</body></html>'
DRAWING = base64.b64encode(b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>').decode()


def test_a_page_becomes_a_tagged_pdf_in_its_language() -> None:
    image = f'<img alt="una lampada" src="data:image/svg+xml;base64,{DRAWING}">'
    reader = PdfReader(io.BytesIO(paper.as_pdf(PAGE.format(image))))
    assert "Più luce" in reader.pages[0].extract_text()
    root: Any = reader.trailer["/Root"]
    assert root["/Lang"] == "it"
    assert root["/MarkInfo"]["/Marked"]
    assert reader.metadata
    assert reader.metadata.title == "Prova"
    assert b"pdfuaid" in root["/Metadata"].get_object().get_data()


@pytest.mark.parametrize("reach", ['<img alt="" src="{}">', '<link rel="stylesheet" href="{}">'])
def test_the_press_opens_no_connection_and_no_file(tmp_path: Path, reach: str) -> None:
    asked: list[str] = []

    class Listener(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(404)
            self.end_headers()

    port = any_port()
    server = HTTPServer(("127.0.0.1", port), Listener)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    secret = tmp_path / "segreto.svg"
    secret.write_text('<svg xmlns="http://www.w3.org/2000/svg"><text>parola segreta</text></svg>')
    try:
        for address in (f"http://127.0.0.1:{port}/x", secret.as_uri()):
            with pytest.raises(Unavailable):
                paper.as_pdf(PAGE.format(reach.format(address)))
    finally:
        server.shutdown()
        server.server_close()
    assert asked == []


def test_what_cannot_be_printed_in_time_is_given_up() -> None:
    with pytest.raises(Unavailable) as raised:
        paper.as_pdf(PAGE.format("<p>riga</p>" * 40_000), within_seconds=1)
    assert raised.value.key == "paper.slow"


def test_the_press_gets_none_of_our_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMPIONE_SECRET", "parola segreta")
    show = "import os; print(sorted(os.environ))"
    given = subprocess.run(
        [sys.executable, "-P", "-c", show], env=paper._ENVIRONMENT, capture_output=True, text=True, check=True
    ).stdout
    assert "LAMPIONE" not in given


def test_without_its_libraries_only_the_pdf_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "weasyprint").mkdir()
    (tmp_path / "weasyprint" / "__init__.py").write_text("raise OSError('cannot load library libpango-1.0-0')")
    monkeypatch.setattr(paper, "_ENVIRONMENT", {**paper._ENVIRONMENT, "PYTHONPATH": f"{tmp_path}:{PROJECT}"})
    with pytest.raises(Unavailable) as raised:
        paper.as_pdf(PAGE)
    assert raised.value.key == "paper.no_libraries"
    assert "libpango-1.0-0" in raised.value.sentence("it")
