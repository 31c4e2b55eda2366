"""What is asked and shown above a place."""
