# difiisr_ros on ROS 2's own images; docs/tasks/docker.md says how to build and run it.
ARG ROS_DISTRO=jazzy
FROM ros:${ROS_DISTRO}-ros-base

ARG DEBIAN_FRONTEND=noninteractive
WORKDIR /ws
COPY package.xml src/difiisr_ros/
RUN apt-get update \
    && rosdep update --rosdistro "$ROS_DISTRO" --include-eol-distros \
    && rosdep install --from-paths src --ignore-src --default-yes --dependency-types exec \
    && apt-get install --yes --no-install-recommends python3-tifffile python3-venv \
    && rm -rf /var/lib/apt/lists/*

# What runs the models: ONNX Runtime for CPUs, or "torch onnx onnxslim", which bring CUDA's libraries.
ARG LIBRARIES="onnxruntime"
ENV VIRTUAL_ENV=/opt/difiisr
# NumPy keeps the major version that ROS's messages and apt's OpenCV were compiled for.
RUN python3 -m venv --system-site-packages "$VIRTUAL_ENV" \
    && next=$(python3 -c 'import numpy; print(int(numpy.__version__.partition(".")[0]) + 1)') \
    && "$VIRTUAL_ENV/bin/pip" install --no-cache-dir "numpy<$next" rosbags mcap $LIBRARIES

COPY . src/difiisr_ros
RUN . "/opt/ros/$ROS_DISTRO/setup.sh" \
    && colcon build --packages-select difiisr_ros \
    && rm -rf build log

# The nodes' first line is "env python3": that of the environment.
ENV PATH="$VIRTUAL_ENV/bin:$PATH" NVIDIA_DRIVER_CAPABILITIES=compute,utility
ENTRYPOINT ["bash", "-c", "source /ws/install/setup.bash && exec \"$@\"", "bash"]
CMD ["ros2", "launch", "difiisr_ros", "super_resolution.launch.py"]
