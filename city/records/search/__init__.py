"""Finding reports by words: the index, what is asked of it, how words are compared."""
