"""A small thermal object detector: judge of upscaled frames, and perceptual prior of guidance."""
