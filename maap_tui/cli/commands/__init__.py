"""The commands, one module each; a module is imported to describe its options, so it imports little."""
