"""Subscriptions: who wants to hear of what, and what they are still to be told."""
