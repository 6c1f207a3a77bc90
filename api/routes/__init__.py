"""One file per visitor's errand."""
