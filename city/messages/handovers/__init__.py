"""What goes to outside bodies when a report is handed over, and what comes back from them."""
