"""Work done by others: handed over, taken on by link, done by contractors, split into children."""
