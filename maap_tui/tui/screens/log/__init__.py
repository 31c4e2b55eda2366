"""The mode Log: the log, the settings and the token."""
