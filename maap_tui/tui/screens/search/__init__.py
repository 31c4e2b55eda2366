"""The mode Search: the form, the results, one granule, and the actions on them."""
