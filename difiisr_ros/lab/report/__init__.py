"""What an evaluation found, as an HTML page and as a table of text."""
