"""The tile pyramid: whatever happens to reports, in whatever batches they are folded, the map is never behind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final
from uuid import uuid4

import mapbox_vector_tile
import psycopg
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geo import pyramid
from geo.place import Place, morton
from geo.tiles import SINGLE_DEEPEST_ZOOM, Tile, reports_tile

Database = psycopg.Connection[Any]
GROUPS: Final = ("roads", "lighting", "green")
HERE: Final = Place(12.9135, 43.9098)
ZOOMS: Final = (0, 5, 9, 13, 14, 16)

places = st.builds(
    Place,
    st.one_of(st.sampled_from([12.9135, 12.91350001, 12.95]), st.floats(12.5, 13.2)),
    st.one_of(st.sampled_from([43.9098, 43.8]), st.floats(43.6, 44.0)),
)
which = st.integers(0, 12)
acts = st.one_of(
    st.tuples(st.just("create"), places, st.sampled_from(GROUPS), st.sampled_from([True, True, True, False])),
    st.tuples(st.just("move"), which, places),
    st.tuples(st.just("recategorise"), which, st.sampled_from(GROUPS)),
    st.tuples(st.just("close"), which),
    st.tuples(st.just("reopen"), which),
    st.tuples(st.just("hide"), which),
    st.tuples(st.just("publish"), which),
    st.tuples(st.just("touch"), which),
    st.tuples(st.just("delete"), which),
    st.tuples(st.just("fold"), st.integers(1, 4)),
)


class History:
    """Reports as rows, and what must be visible of them, told apart from the triggers that count them."""

    def __init__(self, connection: Database) -> None:
        self.connection = connection
        self.reports: list[dict[str, Any]] = []
        row = connection.execute(
            "SELECT category.id, department.municipality_id, department.id FROM category, department"
            " WHERE department.municipality_id > 0 ORDER BY 2, 3 LIMIT 1"
        ).fetchone()
        assert row is not None
        self.category, self.municipality, self.department = row

    def visible(self) -> list[dict[str, Any]]:
        return [report for report in self.reports if report["is_public"] and report["is_open"]]

    def act(self, act: tuple[Any, ...]) -> None:
        verb, *rest = act
        if verb == "create":
            self.create(*rest)
        elif verb == "fold":
            self.fold(rest[0])
        elif self.reports:
            report = self.reports[rest[0] % len(self.reports)]
            getattr(self, verb)(report, *rest[1:])

    def create(self, place: Place, group: str, is_public: bool) -> None:
        x, y = place.cell()
        report = {"id": uuid4(), "place": place, "group": group, "is_public": is_public, "is_open": True}
        self.connection.execute(
            "INSERT INTO report (municipality_id, id, number, state, category_id, group_slug, decided_by,"
            " department_id, routing, lon, lat, cell, cell_x, cell_y, description, language, source, is_public,"
            " is_open, created_at, updated_at, deadline_at) VALUES (%s, %s, %s, 'assigned', %s, %s, 'citizen', %s,"
            " '{}', %s, %s, %s, %s, %s, 'prova', 'it', 'web', %s, true, now(), now(), now())",
            (
                self.municipality,
                report["id"],
                str(report["id"]),
                self.category,
                group,
                self.department,
                *place,
                morton(x, y),
                x,
                y,
                is_public,
            ),
        )
        self.reports.append(report)

    def _set(self, report: dict[str, Any], clause: str, *values: Any) -> None:
        self.connection.execute(
            f"UPDATE report SET {clause} WHERE id = %s",  # type: ignore[call-overload]
            (*values, report["id"]),
        )

    def move(self, report: dict[str, Any], place: Place) -> None:
        x, y = place.cell()
        report["place"] = place
        self._set(report, "lon = %s, lat = %s, cell = %s, cell_x = %s, cell_y = %s", *place, morton(x, y), x, y)

    def recategorise(self, report: dict[str, Any], group: str) -> None:
        report["group"] = group
        self._set(report, "group_slug = %s", group)

    def close(self, report: dict[str, Any]) -> None:
        report["is_open"] = False
        self._set(report, "is_open = false, state = 'closed'")

    def reopen(self, report: dict[str, Any]) -> None:
        report["is_open"] = True
        self._set(report, "is_open = true, state = 'reopened'")

    def hide(self, report: dict[str, Any]) -> None:
        report["is_public"] = False
        self._set(report, "is_public = false")

    def publish(self, report: dict[str, Any]) -> None:
        report["is_public"] = True
        self._set(report, "is_public = true")

    def touch(self, report: dict[str, Any]) -> None:
        self._set(report, "version = version + 1")

    def delete(self, report: dict[str, Any]) -> None:
        self.reports.remove(report)
        self.connection.execute("DELETE FROM report WHERE id = %s", (report["id"],))

    def fold(self, most: int) -> None:
        """Fold a smaller batch than usual."""
        pyramid.fold(self.connection, most=most)

    def cells(self) -> set[tuple[Any, ...]]:
        return set(self.connection.execute("SELECT * FROM tile_cell WHERE count <> 0").fetchall())

    def tile(self, zoom: int) -> list[Any]:
        return features(reports_tile(self.connection, Tile.at(HERE, zoom)))

    def expected(self, zoom: int) -> Counter[str]:
        """Counts per group on the tile."""
        wanted = HERE.cell(zoom)
        return Counter(report["group"] for report in self.visible() if report["place"].cell(zoom) == wanted)


def features(tile: bytes) -> list[Any]:
    """The features of a tile in an order of their own."""
    if not tile:
        return []
    decoded = mapbox_vector_tile.decode(tile)
    found = [(feature["geometry"]["coordinates"], feature["properties"]) for feature in decoded["reports"]["features"]]
    return sorted(found, key=repr)


def counts(found: list[Any]) -> Counter[str]:
    """Counts per group of a tile's features; a cluster's groups add up to its count."""
    total: Counter[str] = Counter()
    for _, properties in found:
        groups = {group: properties[group] for group in GROUPS if group in properties}
        if "number" in properties:
            groups = {properties["group"]: 1}
        assert sum(groups.values()) == properties["count"]
        assert groups[properties["group"]] == max(groups.values())
        total.update(groups)
    return total


@pytest.fixture
def connection(database: str) -> Iterator[Database]:
    with psycopg.connect(database) as connection:
        yield connection
        connection.rollback()


@settings(max_examples=100, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(acts, min_size=3, max_size=30))
def test_any_history_folded_at_any_time_equals_a_rebuild(connection: Database, story: list[tuple[Any, ...]]) -> None:
    with connection.transaction(force_rollback=True):
        history = History(connection)
        for act in story:
            history.act(act)
        before = {zoom: history.tile(zoom) for zoom in ZOOMS}
        for zoom, found in before.items():
            assert counts(found) == history.expected(zoom), f"zoom {zoom}, not yet folded"
        while pyramid.fold(connection):
            pass
        assert {zoom: history.tile(zoom) for zoom in ZOOMS} == before
        folded = history.cells()
        assert not connection.execute("SELECT 1 FROM tile_cell WHERE count <= 0").fetchall()
        pyramid.rebuild(connection)
        assert history.cells() == folded
        assert {zoom: history.tile(zoom) for zoom in ZOOMS} == before


def test_cells_hold_counts_and_sums_of_every_level(connection: Database) -> None:
    history = History(connection)
    for group in ("roads", "roads", "green"):
        history.create(HERE, group, is_public=True)
    pyramid.fold(connection)
    x, y = HERE.cell()
    rows = connection.execute("SELECT level, cell, group_slug, count, sum_x, sum_y FROM tile_cell").fetchall()
    levels = range(pyramid.CLUSTER_BITS, pyramid.FINEST_FOLDED + 1)
    assert set(rows) == {
        (level, morton(*HERE.cell(level)), group, count, count * x, count * y)
        for level in levels
        for group, count in (("roads", 2), ("green", 1))
    }


def test_two_folders_take_different_deltas(database: str) -> None:
    with psycopg.connect(database) as writer, psycopg.connect(database) as other:
        history = History(writer)
        for _ in range(6):
            history.create(HERE, "roads", is_public=True)
        writer.commit()
        history.fold(4)
        history.connection = other
        other.execute("SET lock_timeout = '200ms'")
        taken = other.execute("SELECT count(*) FROM (SELECT FROM tile_delta FOR UPDATE SKIP LOCKED) AS free").fetchone()
        assert taken == (2,)
        other.rollback()
        writer.commit()
        assert pyramid.fold(other) == 2
        other.commit()
        history.connection = writer
        assert counts(history.tile(0)) == {"roads": 6}


# --- through the front door


Report = Callable[..., dict[str, Any]]


@pytest.fixture
def report(client: TestClient) -> Report:
    def send(**more: Any) -> dict[str, Any]:
        body = {"lon": HERE.lon, "lat": HERE.lat, "description": "Lampione spento", "category": "lamp-out"} | more
        answer = client.post("/api/v1/reports", json=body)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    return send


def shown(client: TestClient, zoom: int, **parameters: Any) -> list[Any]:
    tile = Tile.at(HERE, zoom)
    answer = client.get(f"/tiles/reports/{tile.zoom}/{tile.x}/{tile.y}.mvt", params=parameters)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/vnd.mapbox-vector-tile"
    return features(answer.content)


def test_a_new_report_is_on_the_very_next_tile(client: TestClient, report: Report) -> None:
    for count in (1, 2, 3):
        number = report()["number"]
        for zoom in range(SINGLE_DEEPEST_ZOOM + 1):
            found = shown(client, zoom)
            assert sum(properties["count"] for _, properties in found) == count
            if zoom >= 14:
                assert number in {properties["number"] for _, properties in found}


def test_a_hidden_report_is_on_no_tile(client: TestClient, report: Report, database: str) -> None:
    assert report(category="unsafe-place")["is_public"] is False
    for zoom in range(SINGLE_DEEPEST_ZOOM + 1):
        assert shown(client, zoom) == []
    with psycopg.connect(database) as admin:
        assert admin.execute("SELECT count(*) FROM tile_delta").fetchone() == (0,)
        pyramid.rebuild(admin)
        assert admin.execute("SELECT count(*) FROM tile_cell").fetchone() == (0,)


def test_a_single_report_lies_where_it_is_and_says_what_it_is(client: TestClient, report: Report) -> None:
    sent = report()
    ((x, y), properties), *others = shown(client, 16)
    assert others == []
    column, row = HERE.cell()
    left, top = (part << 8 for part in HERE.cell(16))
    assert (x, 4096 - y) == pytest.approx(((column - left) * 16, (row - top) * 16), abs=1)
    assert properties == {
        "count": 1,
        "number": sent["number"],
        "category": "lamp-out",
        "group": "lighting",
        "state": "assigned",
        "age_days": 0,
    }


def test_tiles_of_one_municipality(client: TestClient, report: Report) -> None:
    report()
    report(lon=11.8768, lat=45.4064)
    assert sum(p["count"] for _, p in shown(client, 0)) == 2
    assert sum(p["count"] for _, p in shown(client, 0, municipality="pesaro")) == 1
    assert sum(p["count"] for _, p in shown(client, 14, municipality="padova")) == 0


def test_a_tile_changes_its_etag_when_and_only_when_it_changes(
    client: TestClient, report: Report, database: str
) -> None:
    for zoom in (4, 15):
        tile = Tile.at(HERE, zoom)
        path = f"/tiles/reports/{zoom}/{tile.x}/{tile.y}.mvt"
        report()
        first = client.get(path)
        assert first.headers["cache-control"] == "public, max-age=0, must-revalidate"
        again = client.get(path, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
        with psycopg.connect(database) as admin:
            while pyramid.fold(admin):
                pass
        assert client.get(path).headers["etag"] == first.headers["etag"], "folding is nobody's business"
        report()
        other = client.get(path, headers={"If-None-Match": first.headers["etag"]})
        assert other.status_code == 200
        assert other.headers["etag"] != first.headers["etag"]


def test_an_etag_is_compared_whole_and_weakly(client: TestClient, report: Report) -> None:
    report()
    tag = client.get("/tiles/reports/0/0/0.mvt").headers["etag"]
    for sent, status in (
        (f'"other", {tag}', 304),
        (f"W/{tag}", 304),
        ("*", 304),
        (tag.strip('"')[:8], 200),
        ('"x' + tag[1:], 200),
    ):
        assert client.get("/tiles/reports/0/0/0.mvt", headers={"If-None-Match": sent}).status_code == status, sent
