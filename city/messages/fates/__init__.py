"""What becomes of what was sent: it comes back, is opened, is sent once more, is forgotten."""
