"""The mode Downloads: the transfers of this and of other processes."""
