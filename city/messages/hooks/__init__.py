"""Webhooks: other systems are told what happens to reports and notices."""
