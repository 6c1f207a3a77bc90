"""The report's way, one file a station.

`lifecycle` says which move is allowed to whom; `journey` says what follows what. The stations (intake, classification,
routing, duplicates, handling, deadlines, photos, timeline) do not know one another's neighbours beyond what intake and
handling put together.
"""
