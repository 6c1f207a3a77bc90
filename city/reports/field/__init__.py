"""The crew's work, with or without network: what a tablet did, folded into the report; photos that come in pieces."""
