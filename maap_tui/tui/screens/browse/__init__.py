"""The mode Browse: the tree of the archive, and counts and syncs of its branches."""
