"""The world beyond the database; each file one protocol with its real and its local twin."""
