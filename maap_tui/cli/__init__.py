"""The `maap` command: a thin face over the engine that asks, prints and ends with a code."""
