"""What the nodes decide about a stream of frames: without ROS."""
