"""Frames in and out of files and bags, without ROS."""
