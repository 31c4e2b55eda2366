"""The modes of the app, a folder each: its screen, widgets, actions, words and rules of style together."""
