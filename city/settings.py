"""What the operator sets, by environment variables that start with `LAMPIONE_`.

`./lampione up` fills in whatever is missing from its private cluster under `./var`; an installation of many machines
sets them all. What is wrong or contradictory is refused at start with the name of the setting and the remedy.
"""

from __future__ import annotations

from email.utils import parseaddr
from functools import cache
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from city.errors import SettingsError
from city.texts import LANGUAGES

PROJECT: Final = Path(__file__).resolve().parent.parent
SHORTEST_SECRET: Final = 32
LONGEST_BOUNCE_NAME: Final = 15
"""A token of 48 letters and a plus follow, and what stands before the @ has at most 64."""
LIMITS: Final = {
    "threads": (1, 200),
    "reports_per_hour": (0, 100_000),
    "duplicate_radius_metres": (1, 500),
    "slow_outside_seconds": (0.1, 60),
    "tile_cache_megabytes": (0, 65_536),
    "streams": (0, 10_000),
    "mail_per_minute": (0, 1_000_000),
}
"""The least and the most of every figure."""


class Settings(BaseSettings):
    """The settings of one process."""

    model_config = SettingsConfigDict(env_prefix="LAMPIONE_", env_ignore_empty=True, extra="ignore", frozen=True)

    var: Path = PROJECT / "var"
    """Where the private cluster, photos, mails and the trained classifier live."""
    database_url: str = ""
    """The server, as the application role `lampione_app`, which owns nothing."""
    reader_url: str = ""
    """The server, as `lampione_reader`, which cannot see reporters."""
    owner_url: str = ""
    """The server, as `lampione_owner`: only `migrate` uses it."""
    secret: str = ""
    """At least 32 characters; receipt tokens are made from it, so every process needs the same."""
    public_url: str = "http://localhost:8080"
    """How citizens reach this installation: the start of the links in mails."""
    mail_url: str = ""
    """`smtp://user:password@host:587?starttls=1`, `smtps://host`, or `file:///folder`; default: ./var/mail."""
    mail_from: str = "Lampione <lampione@localhost>"
    bounce_address: str = ""
    """Where mails that cannot be delivered come back to, such as `bounces@comune.example.org`: the server must take
    `bounces+anything@…` too. Default: to the sender."""
    bounces: str = ""
    """Where to read them: `imaps://user:password@host/INBOX`, `imap://…?starttls=1`, `maildir:///folder`; default:
    nowhere (see `./lampione bounce` for a pipe)."""
    note_opened_links: bool = False
    """Whether it is noted that somebody has opened the link of a mail."""
    app_io_url: str = ""
    """`https://api.io.pagopa.it/api/v1`, or `file:///folder`; default: ./var/app-io."""
    mail_per_minute: int = 0
    """How many mails may leave in a minute, from all processes together; 0: as fast as it goes."""
    photo_store: str = ""
    """`file:///folder` or `s3://bucket/prefix`; default: ./var/photos."""
    geocoder_url: str = ""
    """A Nominatim (`https://host/search`) or Photon (`https://host/api`) to ask where our register knows nothing;
    default: none, and nothing typed ever leaves the machine."""
    language: str = "it"
    second_factor: Literal["nobody", "administrators", "everybody"] = "nobody"
    """Of whom among the staff a second factor is wanted; everybody may set one up."""
    reports_per_hour: int = 300
    """How many reports one network may send in an hour, a quarter of them at once; 0: as many as it likes."""
    threads: int = 16
    """Request threads of one API process; its connection pool has as many connections."""
    tile_cache_megabytes: int = 32
    """Memory of one API process for map tiles kept ready."""
    streams: int = 700
    """Streams of live changes that one API process keeps open; each takes one of the files it may open."""
    duplicate_radius_metres: float = 30.0
    slow_outside_seconds: float = 10.0
    """How long any outside service may take before we give up."""

    @property
    def mail(self) -> str:
        """`mail_url`, or the local twin."""
        return self.mail_url or (self.var / "mail").absolute().as_uri()

    @property
    def app_io(self) -> str:
        """`app_io_url`, or the local twin."""
        return self.app_io_url or (self.var / "app-io").absolute().as_uri()

    @property
    def photos(self) -> str:
        """`photo_store`, or the local twin."""
        return self.photo_store or (self.var / "photos").absolute().as_uri()

    @property
    def classifier(self) -> Path:
        """Where the trained classifier lies."""
        return self.var / "classifier.npz"

    def check(self) -> Settings:
        """Refuse what cannot work, before anything has started.

        Raises SettingsError with the setting's name and the remedy.
        """
        self._check_servers()
        self._check_outside()
        self._check_figures()
        return self

    def _check_servers(self) -> None:
        if not self.database_url:
            raise SettingsError("settings.database_missing")
        if not self.reader_url:
            raise SettingsError("settings.reader_missing")
        for name in ("database_url", "reader_url", "owner_url"):
            value = getattr(self, name)
            if value and urlsplit(value).scheme not in {"postgresql", "postgres"}:
                raise SettingsError("settings.not_postgresql", name=f"LAMPIONE_{name.upper()}")
        if self.owner_url and self.owner_url == self.database_url:
            raise SettingsError("settings.owner_is_app")
        if self.reader_url == self.database_url:
            raise SettingsError("settings.reader_is_app")

    def _check_outside(self) -> None:
        if len(self.secret) < SHORTEST_SECRET:
            raise SettingsError("settings.secret_short", shortest=SHORTEST_SECRET)
        if urlsplit(self.public_url).scheme not in {"http", "https"} or not urlsplit(self.public_url).hostname:
            raise SettingsError("settings.public_url", value=self.public_url)
        if urlsplit(self.mail).scheme not in {"smtp", "smtps", "file"}:
            raise SettingsError("settings.mail_url")
        name, _, domain = parseaddr(self.mail_from)[1].partition("@")
        if not (name and domain and self.mail_from.isprintable()):
            raise SettingsError("settings.mail_from")
        self._check_bounces()
        if urlsplit(self.app_io).scheme not in {"http", "https", "file"}:
            raise SettingsError("settings.app_io_url")
        if urlsplit(self.photos).scheme not in {"s3", "file"}:
            raise SettingsError("settings.photo_store")
        if self.geocoder_url:
            geocoder = urlsplit(self.geocoder_url)
            if geocoder.scheme not in {"http", "https"} or not geocoder.hostname:
                raise SettingsError("settings.geocoder_url")
        if self.language not in LANGUAGES:
            raise SettingsError("settings.language", value=self.language, known=", ".join(LANGUAGES))

    def _check_bounces(self) -> None:
        name, _, domain = self.bounce_address.partition("@")
        is_short = 0 < len(name) <= LONGEST_BOUNCE_NAME
        if self.bounce_address and not (is_short and domain and self.bounce_address.isprintable() and "+" not in name):
            raise SettingsError("settings.bounce_address", longest=LONGEST_BOUNCE_NAME)
        place = urlsplit(self.bounces)
        if self.bounces and not (
            (place.scheme in {"imap", "imaps"} and place.hostname) or (place.scheme == "maildir" and place.path)
        ):
            raise SettingsError("settings.bounces")

    def _check_figures(self) -> None:
        for name, (least, most) in LIMITS.items():
            value = getattr(self, name)
            if not least <= value <= most:
                raise SettingsError(
                    "settings.out_of_range", name=f"LAMPIONE_{name.upper()}", value=value, least=least, most=most
                )


@cache
def settings() -> Settings:
    """The settings of this process, read once. Raises SettingsError."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "LAMPIONE_" + str(first["loc"][0]).upper()
        raise SettingsError("settings.unreadable", name=name, problem=first["msg"]) from error
