"""A target that cannot be written ends a command before it computes, or at its first frame."""

from __future__ import annotations

import errno

import numpy as np
import pytest

from difiisr_ros.cli import main
from difiisr_ros.io.images import write_image


@pytest.fixture
def frames(tmp_path):
    for i in range(4):
        pixels = np.random.default_rng(i).integers(29000, 30000, (32, 40)).astype(np.uint16)
        write_image(tmp_path / "in" / f"{i}.png", pixels)
    return tmp_path / "in"


COMMANDS = [
    ["upscale", "{in}", "{target}"],
    ["upscale", "{in}/0.png", "{target}/a.png"],
    ["upscale", "{in}", "{out}", "--json", "{target}/a.json"],
    ["evaluate", "{in}", "--out", "{target}"],
    ["calibrate", "{in}", "--out", "{target}/c.yaml"],
    ["detect", "{in}", "--json", "{target}/d.json"],
    ["bench", "--quick", "--json", "{target}/b.json"],
    ["train", "{in}", "--out", "{target}"],
    ["train", "{in}", "--out", "{out}", "--json", "{target}/h.json"],
    ["export", "{target}/m.onnx"],
]


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("why", ["below a file", "no permission"])
def test_it_is_known_beforehand(tmp_path, frames, arguments, why, monkeypatch, capsys):
    target = tmp_path / "target"
    if why == "below a file":
        target.write_text("")
        target = target / "below"
    else:  # as on a read-only file system, which root meets as well
        import os
        import tempfile

        def refuse(*_args, **_kwargs):
            raise OSError(errno.EROFS, "Read-only file system")

        real = os.access
        target.mkdir()
        monkeypatch.setattr(
            os, "access", lambda path, mode: real(path, mode) and str(target) not in str(path)
        )
        monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
        monkeypatch.setattr(tempfile, "mkstemp", refuse)
        if arguments[0] == "train" and "{out}" not in arguments:
            pytest.skip("the folder is there")

    def too_late(*_args, **_kwargs):
        raise AssertionError("something was computed first")

    monkeypatch.setattr("difiisr_ros.pipeline.SuperResolver.upscale", too_late)
    monkeypatch.setattr("difiisr_ros.commands.bench._measure", too_late)
    texts = [
        a.format(**{"in": frames, "out": tmp_path / "out", "target": target}) for a in arguments
    ]
    assert main(texts) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1 and "cannot be written" in said[0], said
    assert not [p for p in target.rglob("*") if p.is_file()]


def test_a_disk_that_fills_up_ends_it_at_that_frame(tmp_path, frames, monkeypatch, capsys):
    """With one message, and nothing half-written."""
    from difiisr_ros import atomic_write
    from difiisr_ros.pipeline import SuperResolver

    upscaled, real = [], SuperResolver.upscale

    def counted(self, frame):
        upscaled.append(frame)
        return real(self, frame)

    def full(source, target):
        if len(upscaled) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real_replace(source, target)

    real_replace = atomic_write.os.replace
    monkeypatch.setattr(SuperResolver, "upscale", counted)
    monkeypatch.setattr(atomic_write.os, "replace", full)
    out = tmp_path / "out"
    assert main(["upscale", str(frames), str(out), "--backend", "bicubic"]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1 and "No space left on device" in said[0], said
    assert len(upscaled) == 2 and [p.name for p in out.iterdir()] == ["0.png"]
