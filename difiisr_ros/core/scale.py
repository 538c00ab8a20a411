"""How many times larger results are than frames. A file of its own: it needs no PyTorch."""

SCALE = 4
