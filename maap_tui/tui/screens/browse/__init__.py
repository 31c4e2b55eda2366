"""The mode Browse: the tree of the archive, and what takes time about a branch of it."""
