"""The house rules that no linter knows, checked on what is committed; each check is tried on a planted breach too."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from city.settings import PROJECT, Settings
from commands.migrating import ROLES_SQL
from workers.app import PREFIX, WorkerSettings

ROOMS: Final = ("api", "bench", "city", "commands", "geo", "workers")
MIGRATIONS: Final = "commands/migrations/"
BINARIES: Final = Path(sys.executable).parent

SPATIAL: Final = re.compile(
    r"\bST_[A-Z][A-Za-z0-9]*\b|(?<!EPSG:)\b(?:4326|3857|4258|3003|3004|32632|32633|25832|25833|900913)\b"
)
VAGUE: Final = re.compile(r"(^|/)_?(utils?|helpers?|managers?|common|misc)(_[^/]*|)(\.py|/)")
UNFINISHED: Final = re.compile(r"\b(?:TODO|FIXME|XXX|raise NotImplementedError)\b")
MACHINE: Final = re.compile(r"(?<![\w.$}/~-])/(?:work|root(?!/\.)|home/\w+|Users/\w+)/")
DOWNLOAD: Final = re.compile(
    r"https?://[^\s\"'<>]*(?:\.whl|\.tgz|\.tar\.gz|\.deb)\b|\"resolved\"\s*:\s*\"http|--(?:extra-)?index-url\s+\S"
)
"""Where a package comes from is the machine's business: no lock file and no script says an address."""
REQUIREMENT: Final = re.compile(r"^[a-z0-9][a-z0-9._-]*(\[[a-z0-9,_-]+\])?==[^\s;]+( ; [^\\]+)? \\$")


IGNORED = {
    "var",
    ".venv",
    ".git",
    "node_modules",
    "__pycache__",
    ".mypy_cache",
    ".ruff_cache",
    ".pytest_cache",
    ".hypothesis",
}


def tracked() -> list[str]:
    """What is committed or about to be, by its path; without git, all but what .gitignore names."""
    if shutil.which("git") and (PROJECT / ".git").exists():
        done = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, text=True, check=True)
        paths = done.stdout.split("\0")
    else:
        found = (path.relative_to(PROJECT) for path in PROJECT.rglob("*") if path.is_file())
        paths = [str(path) for path in found if not IGNORED.intersection(path.parts)]
    return [path for path in paths if path and (PROJECT / path).is_file()]


def texts() -> Iterator[tuple[str, str]]:
    """Path and text of every committed file that is text, but these rules themselves."""
    for path in tracked():
        if path.startswith("tests/house/"):
            continue
        data = (PROJECT / path).read_bytes()
        if b"\0" not in data[:8000]:
            yield path, data.decode("utf-8", "replace")


def modules() -> Iterator[tuple[str, str]]:
    for room in ROOMS:
        for path in sorted((PROJECT / room).rglob("*.py")):
            yield str(path.relative_to(PROJECT)), path.read_text("utf-8")


def breaches(rule: re.Pattern[str], text: str) -> list[str]:
    return [f"{number}: {line.strip()[:90]}" for number, line in enumerate(text.split("\n"), 1) if rule.search(line)]


# --- the Earth


def test_only_geo_speaks_to_postgis_of_geometry() -> None:
    for path, text in modules():
        if not path.startswith(("geo/", MIGRATIONS)):
            assert not breaches(SPATIAL, text), path
    assert breaches(SPATIAL, 'execute("SELECT ST_Area(shape)")')
    assert breaches(SPATIAL, "srid=4326")
    assert not breaches(SPATIAL, "LARGEST_JSON = 14326  # EPSG:25833 is a name that people use")


# --- transactions


def commits(text: str) -> list[tuple[str, int]]:
    """Every call of a method `commit`: in which function, on which line."""
    found = []

    class Visitor(ast.NodeVisitor):
        def __init__(self) -> None:
            self.inside = ["<module>"]

        def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
            self.inside.append(node.name)
            self.generic_visit(node)
            self.inside.pop()

        def visit_Call(self, node: ast.Call) -> None:
            if isinstance(node.func, ast.Attribute) and node.func.attr == "commit":
                found.append((self.inside[-1], node.lineno))
            self.generic_visit(node)

        def visit_Constant(self, node: ast.Constant) -> None:
            if isinstance(node.value, str) and re.fullmatch(r"\s*COMMIT\b.*", node.value, re.IGNORECASE | re.DOTALL):
                found.append((self.inside[-1], node.lineno))

    Visitor().visit(ast.parse(text))
    return found


def test_only_the_database_file_commits() -> None:
    for path, text in modules():
        if path == "city/database.py":
            # `leave` ends a look, in which nothing can be written; a rollback would make psycopg forget its plans.
            assert {name for name, _ in commits(text)} == {"keep", "leave"}
        elif not path.startswith((MIGRATIONS, "bench/")):  # a benchmark's bare rivals keep their own rows
            assert not commits(text), path
    assert commits("def save(session):\n    session.commit()") == [("save", 2)]
    assert commits('def save(c):\n    c.execute("commit")') == [("save", 2)]
    assert not commits("session.after_commit(ring)")


# --- names and finish


def test_no_room_is_called_something_vague() -> None:
    assert not [path for path in tracked() if VAGUE.search(path)]
    assert VAGUE.search("city/utils.py")
    assert VAGUE.search("api/helpers/x.py")
    assert VAGUE.search("tests/common.py")


def test_every_module_says_what_lives_there() -> None:
    for path, text in modules():
        said = ast.get_docstring(ast.parse(text))
        assert said, path
        assert said.split("\n")[0].rstrip()[-1] in ".:?!`", path


def test_nothing_is_left_unfinished() -> None:
    for path, text in modules():
        assert not breaches(UNFINISHED, text), path
    assert breaches(UNFINISHED, "# TODO later")


def test_nothing_committed_names_this_machine_or_a_registry() -> None:
    for path, text in texts():
        for rule in (MACHINE, DOWNLOAD):
            assert not breaches(rule, text), path
    assert breaches(MACHINE, "cd /home/anna/lampione")
    assert breaches(DOWNLOAD, '"resolved": "https://registry.example.org/x-1.0.tgz"')
    assert breaches(DOWNLOAD, "x @ https://files.example.org/x-1.0-py3-none-any.whl")
    assert not breaches(MACHINE, "/api/v1/work/done /home/ $HOME/root/x")


# --- floors


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(BINARIES / "lint-imports"), "--no-cache", "--config", str(root / "pyproject.toml")],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rooms, for planting."""
    root = tmp_path_factory.mktemp("house")
    shutil.copy(PROJECT / "pyproject.toml", root)
    for room in ROOMS:
        shutil.copytree(PROJECT / room, root / room, ignore=lambda folder, names: _no_code(Path(folder), names))
    return root


def _no_code(folder: Path, names: list[str]) -> set[str]:
    return {name for name in names if not name.endswith(".py") and not (folder / name).is_dir()} | {"__pycache__"}


PLANTED: Final = {
    "geo/place.py": ("import city.errors", "geo -> city"),
    "city/reports/routing.py": ("import fastapi", "fastapi"),
    "city/registry/staff/people.py": ("import city.reports.intake", "city.registry -> city.reports"),
    "city/jobs.py": ("import dramatiq", "dramatiq"),
    "workers/actors.py": ("import api.app", "workers -> api"),
    "api/problems.py": ("import commands.serving", "api -> commands"),
}


def test_the_floors_hold_and_a_planted_breach_of_each_is_found(copy: Path) -> None:
    sound = lint_imports(copy)
    assert sound.returncode == 0, sound.stdout + sound.stderr
    assert "0 broken" in sound.stdout
    for path, (line, _) in PLANTED.items():
        with (copy / path).open("a", encoding="utf-8") as file:
            file.write(f"\n{line}\n")
    broken = lint_imports(copy)
    assert broken.returncode != 0
    assert "0 kept" in broken.stdout, broken.stdout
    for path in PLANTED:
        module = path.removesuffix(".py").replace("/", ".")
        assert f"{module} -> " in broken.stdout, path


# --- what is installed, and how


@pytest.mark.parametrize("path", sorted(path.name for path in PROJECT.glob("requirements*.txt")))
def test_requirements_are_pinned_by_hash_and_name_no_index(path: str) -> None:
    lines = (PROJECT / path).read_text("utf-8").split("\n")
    pinned = [number for number, line in enumerate(lines) if line and line[0] not in "# "]
    assert pinned
    for number in pinned:
        assert REQUIREMENT.match(lines[number]), f"{path}:{number + 1} {lines[number]}"
        assert re.match(r"    --hash=sha256:[0-9a-f]{64}", lines[number + 1]), f"{path}:{number + 2}"
    for line in lines:
        assert not re.search(r"--(extra-)?index-url|--find-links|--trusted-host|\s@\s", line), line


@pytest.mark.parametrize("shell", ["sh", "dash", "bash"])
def test_the_command_is_a_plain_shell_script(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not on this machine")
    scripts = [path for path, text in texts() if text.startswith("#!/bin/sh")]
    assert "lampione" in scripts
    for script in scripts:
        done = subprocess.run([shell, "-n", script], cwd=PROJECT, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), script


def test_the_command_can_be_run() -> None:
    assert (PROJECT / "lampione").stat().st_mode & 0o111 == 0o111


# --- one rule, one place


def test_the_containers_make_the_roles_that_the_program_asks_for() -> None:
    made = re.findall(
        r"^ *((?:CREATE ROLE|GRANT lampione).*;)$", (PROJECT / "compose.yaml").read_text("utf-8"), re.MULTILINE
    )
    assert [re.sub(r" PASSWORD \S+;$", ";", line) for line in made] == ROLES_SQL.strip().splitlines()


def test_the_readme_and_the_containers_know_every_setting() -> None:
    names = {f"LAMPIONE_{name.upper()}" for name in Settings.model_fields}
    names |= {f"{PREFIX}{name.upper()}" for name in WorkerSettings.model_fields}
    readme = (PROJECT / "README.md").read_text("utf-8")
    told = set(
        re.findall(r"^\| `(LAMPIONE_\w+)` \|", readme.split("\n## Settings\n")[1].split("\n## ")[0], re.MULTILINE)
    )
    assert told == names
    containers = (PROJECT / "compose.yaml").read_text("utf-8") + (PROJECT / "Containerfile").read_text("utf-8")
    assert {name for name in names if not re.search(rf"\b{name}[:=]", containers)} == set()
