"""What goes out: letters, and the channels they travel by.

In rooms of their own: subscriptions, notices, hand-overs, webhooks (`hooks`), and what becomes of what was sent
(`fates`).
"""
