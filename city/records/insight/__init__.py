"""Figures: how much, where, how quickly, how old, how well; and what of them is not told."""
