"""The engine: searches the archive, moves files, keeps the registry. It knows nothing of any screen."""
