"""The council's monthly report: its parts, charts and maps, as page, PDF and table."""
