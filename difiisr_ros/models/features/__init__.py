"""Feature networks for perceptual guidance and perceptual losses, from local weight files."""
