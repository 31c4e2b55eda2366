"""The full-screen app: one face of the engine. Its `backend` asks the engine, and the screens sample it."""
