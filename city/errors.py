"""What can go wrong, in the city's own words.

    LampioneError
    ├── InvalidInput            a value that cannot be right; `field` names it
    │   ├── OutsideTerritory    a place in no municipality of this installation
    │   └── UnsupportedPhoto    a file that is no photo we can take
    ├── TooLarge                more bytes, letters or items than we take
    ├── NotAuthenticated        nobody is signed in, or the token is not (or no longer) good
    │   └── CodeNeeded          the password is right, and a code is asked for besides
    ├── Forbidden               signed in, but without this right
    ├── NotFound                no such thing, or not for these eyes
    ├── Gone                    it was there, and is not any more
    ├── Conflict                the state of things does not allow it
    │   └── VersionConflict     somebody else changed it in the meantime
    ├── PreconditionRequired    a change that does not say which version it was made from
    ├── TooManyRequests         come back later
    ├── Unavailable             a part we need does not answer
    ├── Refused                 a service outside will never take this: trying again is of no use
    └── SettingsError           wrong or contradictory settings: never reaches a visitor

Each error carries the key of its sentence in the catalogue and the values that fill it, so that the same error reads
Italian or English to whoever meets it. `api.problems` maps every class to a status.
"""

from __future__ import annotations

import json
from typing import Any

from city.texts import text


class LampioneError(Exception):
    """The root: `key` in the catalogue, the `field` at fault (or None) and the values of the sentence."""

    def __init__(self, key: str, *, field: str | None = None, **values: object) -> None:
        super().__init__(key)
        self.key = key
        self.field = field
        self.values = values

    def sentence(self, language: str = "it") -> str:
        """The sentence a person reads, in `language`."""
        return _sentence(_plain(self), language)

    def kept(self) -> str:
        """The error as it is kept in a column, to be read later in anybody's language by `sentence_of`."""
        return json.dumps(_plain(self), default=str)

    def __str__(self) -> str:
        return self.sentence("en")


class InvalidInput(LampioneError):
    """A value that cannot be right."""


class OutsideTerritory(InvalidInput):
    """A place in no municipality of this installation."""


class UnsupportedPhoto(InvalidInput):
    """A file that is no photo we can take."""


class TooLarge(LampioneError):
    """More bytes, letters or items than we take."""


class NotAuthenticated(LampioneError):
    """Nobody is signed in, or the token is not good."""


class CodeNeeded(NotAuthenticated):
    """The password is right, and a code is asked for besides."""


class Forbidden(LampioneError):
    """Signed in, but without this right."""


class NotFound(LampioneError):
    """No such thing, or not for these eyes."""


class Gone(LampioneError):
    """It was there, and is not any more."""


class Conflict(LampioneError):
    """The state of things does not allow it."""


class VersionConflict(Conflict):
    """Somebody else changed it in the meantime."""


class PreconditionRequired(LampioneError):
    """A change that does not say which version it was made from."""


class TooManyRequests(LampioneError):
    """Come back later."""


class Unavailable(LampioneError):
    """A part we need does not answer."""


class Refused(LampioneError):
    """A service outside will never take this: trying again is of no use."""


class SettingsError(LampioneError):
    """Wrong or contradictory settings; said at start with the setting's name and the remedy."""


def sentence_of(kept: str | None, language: str) -> str | None:
    """What `kept` gave, as a sentence; what was kept as a sentence stays as it is.

    Of a text that there is no more, or that wants other values by now, only the key can be said.
    """
    if kept is None or not kept.startswith("{"):
        return kept
    error = json.loads(kept)
    try:
        return _sentence(error, language)
    except KeyError:
        return str(error["key"])


def _plain(error: LampioneError) -> dict[str, object]:
    """Key and values; an error among the values goes the same way."""
    values = {name: _plain(one) if isinstance(one, LampioneError) else one for name, one in error.values.items()}
    return {"key": error.key, "values": values}


def _sentence(kept: dict[str, Any], language: str) -> str:
    values = {name: _sentence(one, language) if isinstance(one, dict) else one for name, one in kept["values"].items()}
    return text(kept["key"], language=language, **values)
