"""Notices: the municipality tells people of an area what is going on there."""
