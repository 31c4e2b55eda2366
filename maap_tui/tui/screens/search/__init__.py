"""The mode Search: the form, the results, one granule, and what can be done with them."""
