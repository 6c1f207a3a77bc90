"""Outside bodies stand in a private network where their host is allowed, as all others do."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0047"
down_revision = "0046"
branch_labels = None
depends_on = None

_ALLOW = r"""
INSERT INTO allowed_host (host, person_id)
SELECT DISTINCT lower(named.host) || ':' || coalesce(named.port, CASE lower(named.scheme) WHEN 'http' THEN '80' ELSE '443' END),
       (SELECT coalesce(min(id), 0) FROM person WHERE municipality_id = 0)
FROM outside_body AS body, LATERAL (
  SELECT found[1] AS scheme, found[2] AS host, found[3] AS port
  FROM regexp_match(body.address, '^(https?)://(\[[^]]+\]|[^/:?#]+)(?::(\d+))?', 'i') AS found
) AS named
WHERE body.is_internal AND body.channel <> 'mail' AND named.host IS NOT NULL
ON CONFLICT DO NOTHING
"""


def upgrade() -> None:
    """Go up. What was allowed to a body is allowed to its host and port."""
    op.execute(_ALLOW)
    op.drop_column("outside_body", "is_internal")


def downgrade() -> None:
    """Go back. A body stands in a private network only where the province says so again."""
    op.add_column(
        "outside_body", sa.Column("is_internal", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
