"""The one catalogue of everything a person reads, Italian and English.

Each `*.toml` beside this file holds tables; `[mail.received]` with `subject.it = "…"` and `subject.en = "…"` is
addressed as `mail.received.subject`. Values in braces are filled by name. Italian is the default.
"""

from __future__ import annotations

import os
import tomllib
from functools import cache
from pathlib import Path
from typing import Final

LANGUAGES: Final = ("it", "en")
DEFAULT_LANGUAGE: Final = "it"


@cache
def catalogue() -> dict[str, dict[str, str]]:
    """Every sentence: key → language → text."""
    sentences: dict[str, dict[str, str]] = {}
    for file in sorted(Path(__file__).parent.glob("*.toml")):
        _flatten(tomllib.loads(file.read_text("utf-8")), "", sentences)
    return sentences


def _flatten(table: dict[str, object], prefix: str, into: dict[str, dict[str, str]]) -> None:
    if set(table) <= set(LANGUAGES):
        into[prefix] = {language: str(sentence) for language, sentence in table.items()}
        return
    for key, value in table.items():
        if not isinstance(value, dict):
            raise TypeError(f"{prefix}.{key} is neither a table nor a sentence in {LANGUAGES}")
        _flatten(value, f"{prefix}.{key}" if prefix else key, into)


def text(key: str, *, language: str = DEFAULT_LANGUAGE, **values: object) -> str:
    """The sentence `key` in `language` (Italian where the language is unknown), filled with `values`.

    Raises KeyError for a key that is not in the catalogue.
    """
    translations = catalogue()[key]
    return translations.get(language, translations[DEFAULT_LANGUAGE]).format(**values)


def operator_language() -> str:
    """The language of the command line: `LAMPIONE_LANGUAGE`, else Italian."""
    chosen = os.environ.get("LAMPIONE_LANGUAGE", DEFAULT_LANGUAGE)[:2].lower()
    return chosen if chosen in LANGUAGES else DEFAULT_LANGUAGE


def said(key: str, **values: object) -> str:
    """The sentence `key` for the operator at the command line."""
    return text(key, language=operator_language(), **values)
