"""Bytes and fields of ROS messages, and arrays: without ROS."""
