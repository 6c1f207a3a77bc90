"""What may be seen, what stays and what goes: the privacy gate and the open data."""
