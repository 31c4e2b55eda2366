"""What is asked and shown above a mode, whichever it is."""
