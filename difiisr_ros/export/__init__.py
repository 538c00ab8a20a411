"""The whole sampler as one graph in a file, for runtimes other than PyTorch."""
