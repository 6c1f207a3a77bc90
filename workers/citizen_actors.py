"""The jobs of citizens who sign in. Open, call the station, done."""

from __future__ import annotations

from uuid import UUID

import dramatiq

from city.database import provincial
from city.messages import citizen_code


@dramatiq.actor
def send_citizen_code(code_id: str) -> None:
    """Send a citizen the code that was asked for."""
    with provincial() as session:
        citizen_code.send(session, UUID(code_id))
