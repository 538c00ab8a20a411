# Works on a machine with nothing but Python (3.10 to 3.13), pip and make: a .venv with ROS 2's rclpy
# and everything else is made on first use, and mended whenever it is broken (tools/make_venv.sh).
# In a shell where ROS 2 is sourced, that ROS 2 and python3 are used, and nothing is installed.
#
#   make demo INPUT=path      your own frames or bag instead of the synthetic scene
#   make demo ARGS="..."      further options of `difiisr demo`
#   make test ARGS="-k tile"  further options of pytest
#   make setup PIP_FLAGS="--extra-index-url URL"   for instance PyTorch's index of CPU wheels
#   make setup PYTHON=python3.12
#   make setup V=1            all that pip says, instead of one line of progress

SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV := $(CURDIR)/.venv
export PYTHON PIP_FLAGS V

ifdef ROS_DISTRO
PY := python3
INSTALL_RTX = { echo "install it yourself: python3 -m pip install tensorrt-rtx-cu12" >&2; exit 2; }
SETUP := @python3 tools/check_ros_environment.py
# -m finds the package in the current folder, but the nodes that the demo starts may change theirs.
export PYTHONPATH := $(CURDIR):$(PYTHONPATH)
else
PY := "$(VENV)/bin/python"
INSTALL_RTX = timeout 600 $(PY) -m pip install --quiet --disable-pip-version-check --retries 1 \
	$(PIP_FLAGS) "tensorrt-rtx-cu12>=1.7"
# Three at once, as those of nodes wait for half of their time, each in a DDS domain of its own; a
# file's tests stay together.
WORKERS := -n 3 --dist loadfile
SETUP := @tools/make_venv.sh
export VIRTUAL_ENV := $(VENV)
export PATH := $(VENV)/bin:$(PATH)
# ament_index_python, which rclpy needs, looks packages up here.
export AMENT_PREFIX_PATH := $(VENV)
endif

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: setup
setup: ## make or mend .venv (the other targets do it by themselves)
	$(SETUP)

.PHONY: tensorrt
tensorrt: setup ## install TensorRT-RTX, by NVIDIA's licence, which builds engines without a GPU
	@$(PY) -c "import tensorrt_rtx" 2>/dev/null || $(INSTALL_RTX)
	@$(PY) -c "import tensorrt_rtx; print('tensorrt_rtx', tensorrt_rtx.__version__)"

.PHONY: demo
demo: setup ## run player, node and monitor over DDS for 20 s; INPUT=path for your own frames or bag
	@$(PY) -m difiisr_ros.cli demo $(if $(INPUT),--input "$(INPUT)") $(ARGS)

.PHONY: test
test: setup ## unit, ROS and end-to-end tests, without the slow ones
	@$(PY) -m pytest $(WORKERS) $(ARGS)

.PHONY: test-all
test-all: setup ## all tests
	@$(PY) -m pytest -m "" $(ARGS)

# Nothing of ours is installed there: the editable installs of its pip need newer setuptools.
JAMMY := $(CURDIR)/.venv-jammy$(if $(LIGHT),-light)
.PHONY: test-jammy
test-jammy: ## make test with Ubuntu 22.04's versions (Python 3.10); LIGHT=1: package.xml's alone
ifdef ROS_DISTRO
	$(error test-jammy brings its own rclpy: run it in a shell where no ROS 2 is sourced)
endif
	@VENV="$(JAMMY)" REQUIREMENTS=requirements-jammy$(if $(LIGHT),-light).txt VERSIONS=3.10 PROJECT= \
	    MODULES="numpy cv2 PIL tqdm yaml rclpy sensor_msgs.msg pytest" tools/make_venv.sh
	@PATH="$(JAMMY)/bin:$(PATH)" VIRTUAL_ENV="$(JAMMY)" AMENT_PREFIX_PATH="$(JAMMY)" \
	    PYTHONPATH="$(CURDIR)" "$(JAMMY)/bin/python" -m pytest $(WORKERS) $(ARGS)

.PHONY: lint
lint: setup ## ruff and mypy
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy

.PHONY: goldens
goldens: setup ## write anew what the models make of two small frames, when that was to change
	@$(PY) test/support/model_goldens.py

.PHONY: graphs
graphs: setup ## write the graphs of the embedded models anew, after their weights changed
	@$(PY) tools/write_graphs.py

.PHONY: clean
clean: ## remove what builds and tests left; not out/, which may hold a training
	rm -rf build install log .pytest_cache .ruff_cache .mypy_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -not -path "./.venv*/*" -prune -exec rm -rf {} +

.PHONY: distclean
distclean: clean ## clean, and remove .venv and its siblings too
	rm -rf .venv .venv-jammy*
