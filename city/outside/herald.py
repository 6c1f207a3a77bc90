"""Messages to channels of the staff: chats, paging services, SMS gateways, each by its Apprise address.

https://github.com/caronc/apprise – only what is listed here: what speaks HTTP, and tells us in its address whether that
is encrypted. An address is a secret: it opens the chat.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Collection
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import orjson

from city.errors import InvalidInput, Refused, Unavailable
from city.outside.herald_child import NO_ADDRESS, NOT_ALLOWED, NOT_TAKEN, SENT
from city.settings import PROJECT, settings

LONGEST_ADDRESS: Final = 1_000
LOADING_SECONDS: Final = 20
"""How long Apprise may take to load, besides the answer it waits for."""
ENCRYPTED: Final = frozenset(
    (  # noqa: SIM905  (read as a list of words)
        "46elks clicksend discord forms gchat gotifys hassios jsons matrixs mmosts msgbird nctalks nexmo ntfys opsgenie"
        " pagerduty plivo pover rockets seven signals signl4 sinch slack smseagles synologys tgram twilio vonage webex"
        " whatsapp workflow workflows wxteams xmls zulip"
    ).split()
)
PLAIN: Final = frozenset(
    "form gotify hassio json matrix mmost nctalk ntfy rocket signal smseagle synology xml".split()  # noqa: SIM905
)
"""Not encrypted on the way: only to hosts that the province allows."""
PARAMETERS: Final = frozenset(
    "batch footer format from image mode preview priority region silent tags thread to topic tts".split()  # noqa: SIM905
)
"""What may stand after the question mark: others read files, switch checks off, or lead elsewhere."""
_ENVIRONMENT: Final = {"LANG": "C.UTF-8", "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"}


def schema_of(url: str) -> str:
    """Which service it is, the part before `://`."""
    return url.partition("://")[0].lower()


def check_address(url: str) -> None:
    """Raises InvalidInput (field `address`) for an address that we never use."""
    if not url.isascii() or not url.isprintable() or " " in url or "://" not in url or len(url) > LONGEST_ADDRESS:
        raise InvalidInput("staff_channels.no_address", field="address")
    schema = schema_of(url)
    if schema not in ENCRYPTED | PLAIN:
        known = ", ".join(sorted(ENCRYPTED | PLAIN))
        raise InvalidInput("staff_channels.no_schema", field="address", value=schema, known=known)
    for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True):
        if name not in PARAMETERS:
            raise InvalidInput("staff_channels.no_parameter", field="address", value=name)


def send(url: str, title: str, body: str, allowed: Collection[str]) -> str:
    """Hand a message over and give its receipt; `allowed` hosts (`name:port`) may stand in a private network.

    Raises Unavailable (try later), Refused (never).
    """
    told = {
        "url": url,
        "title": title,
        "body": body,
        "allowed": sorted(allowed),
        "is_plain": schema_of(url) in PLAIN,
    }
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "city.outside.herald_child"],
            input=orjson.dumps(told),
            capture_output=True,
            check=False,
            cwd=PROJECT,
            env=_ENVIRONMENT,
            timeout=settings().slow_outside_seconds + LOADING_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise Unavailable("staff_channels.silent") from None
    if done.returncode == SENT:
        return schema_of(url)
    if done.returncode == NO_ADDRESS:
        raise Refused("staff_channels.no_address")
    if done.returncode == NOT_ALLOWED:
        raise Refused("staff_channels.not_allowed")
    if done.returncode == NOT_TAKEN:
        raise Unavailable("staff_channels.not_taken")
    # What it says may quote the address; its last word is the name of what went wrong.
    kind = done.stderr.decode(errors="replace").strip().rpartition("\n")[2].partition(":")[0]
    raise Unavailable("staff_channels.failed", problem=kind[:60] or str(done.returncode))
