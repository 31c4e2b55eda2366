"""The mode Today: what ran, what is missing, and how long the disk lasts."""
