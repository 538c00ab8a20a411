"""Detector files: safetensors whose metadata carries configuration, recipe and figures.

``detector`` (the perceptual prior) and ``detector_judge`` (the judge, of another seed and width)
are shipped with the package.
"""

from __future__ import annotations

import copy
import json
import os
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from difiisr_ros.detection.model import DetectorConfig, ThermalDetector
from difiisr_ros.errors import ModelError
from difiisr_ros.models.checkpoint import describe_file, load_state

FORMAT = "difiisr_ros.detector.1"
PRIOR, JUDGE = "detector", "detector_judge"
EMBEDDED = (PRIOR, JUDGE)
_WEIGHTS = Path(__file__).resolve().parent.parent / "weights"


def detector_path(detector: str) -> Path:
    """Path of ``detector``, ``detector_judge`` (shipped with the package) or of a file.

    Raises:
        ModelError: no such file.
    """
    shipped = detector in EMBEDDED
    path = _WEIGHTS / f"{detector}.safetensors" if shipped else Path(detector).expanduser()
    if not path.is_file():
        raise ModelError(
            f"detector {detector!r} is neither {' nor '.join(map(repr, EMBEDDED))} nor a file; "
            "give the path of a .safetensors file written by 'difiisr train-detector'"
        )
    return path


def save_detector(
    path: Path, network: ThermalDetector, facts: dict[str, Any], half: bool = True
) -> None:
    """Write weights (float16 by default) with the configuration and ``facts`` in the metadata.

    Normalisations are written folded into their convolutions. Atomic: the file is complete or it
    is not there.
    """
    dtype = torch.float16 if half else torch.float32
    fused = copy.deepcopy(network).eval().fuse().state_dict()
    state = {key: value.detach().to("cpu", dtype).contiguous() for key, value in fused.items()}
    metadata = {
        "format": FORMAT,
        "config": json.dumps(network.config.as_dict()),
        "facts": json.dumps(facts),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    save_file(state, temporary, metadata)
    os.replace(temporary, path)


def load_detector(detector: str = PRIOR) -> tuple[ThermalDetector, dict[str, Any]]:
    """Load an embedded detector or a file: the float32 network in evaluation mode, and its facts.

    Raises:
        ModelError: missing, truncated, not safetensors, of another format, or with keys and
            shapes that do not fit its own configuration.
    """
    path = detector_path(detector)
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            state = {key: file.get_tensor(key).float() for key in file.keys()}
    except (SafetensorError, OSError) as error:
        raise ModelError(
            f"{path} is not a usable detector: {describe_file(path)} ({error})"
        ) from error
    if metadata.get("format") != FORMAT:
        raise ModelError(
            f"{path} is a safetensors file of another kind (format {metadata.get('format')!r}); "
            f"accepted: {FORMAT!r}, as 'difiisr train-detector' writes it"
        )
    try:
        config = DetectorConfig(**json.loads(metadata["config"]))
    except (KeyError, TypeError, ValueError) as error:
        known = ", ".join(field.name for field in fields(DetectorConfig))
        raise ModelError(
            f"{path} has no valid configuration ({error}); known fields: {known}"
        ) from error
    network = ThermalDetector(config).eval().fuse()
    load_state(path, network, state)
    return network, json.loads(metadata.get("facts", "{}"))
