"""What runs the whole sampler as one graph; one file each, imported only when chosen."""
