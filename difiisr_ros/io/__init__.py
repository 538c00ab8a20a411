"""Frames in and out of files, bags and image messages, without ROS."""
