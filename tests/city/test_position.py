"""Where a stream stands: whoever is cut anywhere goes on exactly there, in whatever order transactions end."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from city.position import Position
from city.records.news import Change, Seen


@dataclass
class Server:
    """What PostgreSQL does with transactions: numbers in order, ends in any."""

    next: int = 700
    open: list[int] = field(default_factory=list)
    kept: list[Change] = field(default_factory=list)
    entries: int = 0
    written: dict[int, list[Change]] = field(default_factory=dict)

    def begin(self) -> None:
        self.open.append(self.next)
        self.written[self.next] = []
        self.next += 1

    def write(self, transaction: int, report: int) -> None:
        self.entries += 1
        self.written[transaction].append(change(transaction, self.entries, report))

    def end(self, transaction: int, *, is_kept: bool) -> None:
        self.open.remove(transaction)
        written = self.written.pop(transaction)
        if is_kept:
            self.kept += {one.id: one for one in written}.values()

    def position(self) -> Position:
        lowest = min(self.open, default=self.next)
        return Position.of(f"{lowest}:{self.next}:{','.join(map(str, self.open))}", self.entries)

    def look(self) -> Seen:
        return Seen(self.position(), list(self.kept))


def change(transaction: int, entry: int, report: int) -> Change:
    return Change(
        transaction,
        entry,
        ("moved",),
        1,
        UUID(int=report),
        "PS-1",
        "planned",
        True,
        1,
        1,
        None,
        1,
        "lighting",
        (),
        None,
    )


def key(one: Change) -> tuple[int, int]:
    return one.transaction, one.entry


steps = st.lists(
    st.tuples(
        st.sampled_from([*["begin"] * 3, *["write"] * 4, "keep", "keep", "undo", "hear"]),
        st.integers(0, 5),
        st.integers(0, 3),
    ),
    min_size=30,
    max_size=70,
)


@settings(max_examples=400, deadline=None)
@given(steps, st.booleans())
def test_whoever_is_cut_anywhere_hears_everything_once(told: list[tuple[str, int, int]], is_written: bool) -> None:
    server = Server()
    position = server.position()
    heard: list[tuple[int, int]] = []
    for what, number, few in told:
        transaction = server.open[number % len(server.open)] if server.open else None
        if what == "begin":
            server.begin()
        elif what == "hear":  # and is cut after a `few` changes, or hears them all
            seen = server.look()
            changes = list(seen.since(position))
            for one, at in changes[:few]:
                heard.append(key(one))
                position = at
            if len(changes) <= few:
                position = seen.position
            if is_written:
                read = Position.read(str(position))
                assert read == position
                position = read
        elif transaction is not None and what == "write":
            server.write(transaction, few)
        elif transaction is not None:
            server.end(transaction, is_kept=what == "keep")
    heard += [key(one) for one, _ in server.look().since(position)]
    assert sorted(heard) == sorted(map(key, server.kept))


@given(st.text(alphabet="0123456789.-x", max_size=60))
def test_what_is_no_position_is_not_read(written: str) -> None:
    position = Position.read(written)
    assert position is None or Position.read(str(position)) == position


def test_a_position_that_cannot_be_is_not_read() -> None:
    assert Position.read("1.700.1-3.697.5") == Position(1, 700, frozenset({699, 697}), 697, 5)
    assert Position.read("1.700..0.0") == Position(1, 700)
    for wrong in (
        "",
        "1",
        "1.700.0.0.0",
        "1.700.700.0.0",
        "1.700..3.4",
        "1.700.1.0",
        "1.99999999999999999999..0.0",
        "x",
    ):
        assert Position.read(wrong) is None, wrong
