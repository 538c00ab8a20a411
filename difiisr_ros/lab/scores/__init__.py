"""One measure each, of a result and its truth or of a result alone."""
