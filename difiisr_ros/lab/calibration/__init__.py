"""What ``difiisr calibrate`` measures of a camera, from its frames alone."""
