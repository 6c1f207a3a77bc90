"""The front door: HTTP in, HTTP out. One route file per visitor's errand, and one table from domain error to status.

Nothing is decided here: a route checks shape and right, opens the transaction, calls one station and shows the answer.
"""
