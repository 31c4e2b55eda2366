"""Swaps of a baseline for a newer one: the journal of each, and which granule takes the place of which."""
