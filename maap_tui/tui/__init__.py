"""The full-screen app: one face of the engine. It asks the engine through `app.ask` and samples its tally."""
