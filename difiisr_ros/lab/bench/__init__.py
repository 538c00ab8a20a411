"""What ``difiisr bench`` measures, each cell of its table in a process of its own."""
