"""The mode Registry: what is tracked, by baseline, day and file, and what can be done about it."""
