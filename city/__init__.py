"""What the city knows and decides. No HTTP, no queue library, no spatial SQL.

Rooms, lowest first: the ground floor (errors, texts, settings, database, jobs), `outside` (the world beyond the
database), `registry` (who and where), `reports` (the report's way), `messages` (what goes out) and `records` (what
may be seen and what stays).
"""
