"""The catalogue: every sentence in both languages, none missing, none idle."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Any, Final, NamedTuple

import pytest

from city import errors
from city.settings import PROJECT
from city.texts import LANGUAGES, catalogue, operator_language, said, text

ROOMS: Final = ("api", "bench", "city", "commands", "geo", "workers")
SPEAKERS: Final = {"text", "said", "_text", "t"}
KEY: Final = re.compile(r"[a-z_]+(\.[a-z_0-9]+)+")


@cache
def sources() -> dict[Path, ast.Module]:
    return {path: ast.parse(path.read_text("utf-8")) for room in ROOMS for path in (PROJECT / room).rglob("*.py")}


@cache
def pages() -> str:
    """What the pages for the browser are made of."""
    kept = [path for path in (PROJECT / "web").rglob("*") if "node_modules" not in path.parts]
    files = [*(PROJECT / "api").rglob("*.jinja"), *(PROJECT / "city").rglob("*.jinja"), *kept]
    return "\n".join(
        path.read_text("utf-8") for path in files if path.suffix in {".jinja", ".js", ".mjs", ".ts", ".html"}
    )


@cache
def error_names() -> frozenset[str]:
    """The names of all classes that carry a key."""
    names = {kind.__name__ for kind in vars(errors).values() if isinstance(kind, type)}
    grown = True
    while grown:
        more = {
            node.name
            for tree in sources().values()
            for node in ast.walk(tree)
            if isinstance(node, ast.ClassDef)
            and any(isinstance(base, ast.Name) and base.id in names for base in node.bases)
        }
        grown = bool(more - names)
        names |= more
    return frozenset(names)


class Use(NamedTuple):
    """A sentence said in the code: its key, the names of the values given (None: not known), and where."""

    key: str
    values: set[str] | None
    where: str


def uses() -> Iterator[Use]:
    for path, tree in sources().items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            first = node.args[0]
            if name not in SPEAKERS | error_names() or not isinstance(first, ast.Constant):
                continue
            if not isinstance(first.value, str) or not KEY.fullmatch(first.value):
                continue
            given = {keyword.arg for keyword in node.keywords}
            values = None if None in given else {value for value in given if value} - {"language", "field"}
            yield Use(first.value, values, f"{path.relative_to(PROJECT)}:{node.lineno}")


def placeholders(sentence: str) -> set[str]:
    return {re.split(r"[.\[]", name)[0] for _, name, _, _ in Formatter().parse(sentence) if name is not None}


def test_every_sentence_has_both_languages_with_the_same_blanks() -> None:
    for key, translations in catalogue().items():
        assert set(translations) == set(LANGUAGES), key
        blanks = {language: placeholders(sentence) for language, sentence in translations.items()}
        assert len({frozenset(names) for names in blanks.values()}) == 1, (key, blanks)
        assert all(name.isidentifier() for names in blanks.values() for name in names), (key, blanks)


def test_every_sentence_says_something_and_says_it_neatly() -> None:
    for key, translations in catalogue().items():
        for language, sentence in translations.items():
            assert sentence.strip(), (key, language)
            assert sentence == sentence.rstrip(), (key, language)
            assert not re.search(r"\b(TODO|FIXME|XXX)\b", sentence), (key, language)


def test_no_key_stands_in_two_files() -> None:
    met: dict[str, str] = {}
    for path in sorted((PROJECT / "city" / "texts").glob("*.toml")):
        for section in keys_of(tomllib.loads(path.read_text("utf-8"))):
            assert section not in met, f"{section}: {met.get(section)} and {path.name}"
            met[section] = path.name
    assert set(met) == set(catalogue())


def keys_of(table: dict[str, Any], prefix: str = "") -> Iterator[str]:
    if set(table) <= set(LANGUAGES):
        yield prefix
        return
    for key, value in table.items():
        yield from keys_of(value, f"{prefix}.{key}" if prefix else key)


def test_every_sentence_said_exists() -> None:
    found = list(uses())
    assert len(found) > 150
    assert not [use for use in found if use.key not in catalogue()]


def test_every_blank_is_filled() -> None:
    for use in uses():
        if use.values is not None and use.key in catalogue():
            missing = placeholders(catalogue()[use.key]["it"]) - use.values
            assert not missing, f"{use.where}: {use.key} wants {missing}"


def test_every_kind_of_fault_of_shape_has_its_sentence() -> None:
    for tree in sources().values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "PydanticCustomError":
                kind = node.args[0]
                assert isinstance(kind, ast.Constant)
                assert f"shape.{kind.value}" in catalogue()


def test_no_sentence_is_idle() -> None:
    spoken: set[str] = set()
    patterns: list[str] = [
        rf"{re.escape(prefix)}[a-z_0-9.]+"
        for prefix in re.findall(r"""["'`]([a-z_]+(?:\.[a-z_]+)*\.)(?:["'] ?[~+]|\$\{)""", pages())
    ]
    for tree in sources().values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                spoken.add(node.value)
            elif isinstance(node, ast.JoinedStr):
                first = node.values[0]
                if isinstance(first, ast.Constant) and re.match(r"[a-z_]+\.", str(first.value)):
                    patterns.append(
                        "".join(
                            re.escape(str(part.value)) if isinstance(part, ast.Constant) else "[a-z_0-9.]+"
                            for part in node.values
                        )
                    )
    dynamic = re.compile("|".join(f"(?:{pattern})" for pattern in patterns))
    quoted = set(re.findall(r"""["'`]([a-z_]+(?:\.[a-z_0-9]+)+)["'`]""", pages()))
    idle = [key for key in catalogue() if key not in spoken | quoted and not dynamic.fullmatch(key)]
    assert not idle, idle


def test_an_unknown_language_reads_italian_and_an_unknown_key_is_an_error() -> None:
    assert text("problem.conflict", language="de") == text("problem.conflict", language="it")
    with pytest.raises(KeyError):
        text("nothing.here")


@pytest.mark.parametrize(("chosen", "language"), [("en_GB.UTF-8", "en"), ("IT", "it"), ("de", "it"), ("", "it")])
def test_the_operator_chooses_a_language(monkeypatch: pytest.MonkeyPatch, chosen: str, language: str) -> None:
    monkeypatch.setenv("LAMPIONE_LANGUAGE", chosen)
    assert operator_language() == language
    assert said("problem.conflict") == text("problem.conflict", language=language)


# --- what happens to a report


def test_whatever_is_told_of_a_report_has_its_sentences_in_the_mail_and_on_the_page() -> None:
    told = {
        node.args[2].value
        for tree in sources().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "tell"
        and len(node.args) > 2
        and isinstance(node.args[2], ast.Constant)
    }
    assert {"moved", "update", "asked", "merged"} <= told
    retold = {f"master_{name}" for name in ("moved", "update", "news")}
    for what in told | retold | {"received", "assigned", "triage"}:
        assert {f"happened.{what}", f"page.what.{what}"} <= set(catalogue()), what
