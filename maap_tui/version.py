"""The version of this program, for all that says it."""

__version__ = "1.0.0"
