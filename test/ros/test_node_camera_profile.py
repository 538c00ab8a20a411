"""What is known of the camera reaches the engine, the log and diagnostics."""

from __future__ import annotations

from node_harness import Graph, scene


def test_a_camera_profile_is_used_and_told_of(tmp_path, log):
    profile = tmp_path / "camera.yaml"
    profile.write_text("noise: 7.0\nblur: 0.4\n")
    with Graph(camera=str(profile), backend="torch", overshoot=0.25) as running:
        running.connect()
        engine = running.node._upscaler.engine
        assert engine.camera.blur == 0.4
        assert engine.options.overshoot == 0.25
        running.roundtrip(scene())
        told = f"camera: noise 7 counts, blur 0.4 px ({profile}); noise of this frame 7.01 counts"
        assert told in log.wait("first frame")
        values, _ = running.status("backend", lambda v, _: "noise (counts)" in v)
        assert values["camera"] == f"noise 7 counts, blur 0.4 px ({profile})"
        assert values["noise (counts)"] == "7.006"
        assert float(values["noise (% of range)"]) > 0


def test_a_profile_with_an_unknown_key_is_refused_by_name(tmp_path, log):
    profile = tmp_path / "camera.yaml"
    profile.write_text("nois: 7.0\n")
    with Graph(camera=str(profile), wait_active=False):
        assert str(profile) in log.wait("unknown key 'nois'")
