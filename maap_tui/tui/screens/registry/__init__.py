"""The mode Registry: what is tracked, by baseline, day and file, and the actions on it."""
