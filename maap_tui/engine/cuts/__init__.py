"""Parts of data files: ranges of bytes of a file at its server, and what is inside a region of it."""
