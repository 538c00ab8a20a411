"""The frames that an evaluation goes through, and their truth."""
