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

"""`difiisr upscale BAG OUT`: what rosbag2 finds in the new bag, and what failures leave."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

pytest.importorskip("rosbags", reason="bags need rosbags: pip install rosbags")

import yaml
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import get_types_from_msg

from difiisr_ros.cli import main
from difiisr_ros.io.bags import CAMERA_INFO, IMAGE, BagReader, BagWriter
from support.bag_messages import STORE, TYPES, camera_info, header, image

STORE.register(get_types_from_msg("float32 kelvin\nstring[] words", "lab_msgs/msg/Probe"))
STORAGES = {"mcap": StoragePlugin.MCAP, "sqlite3": StoragePlugin.SQLITE3}
T0 = 1_700_000_000_123_456_789

# What a recorder on Fast DDS learns of a publisher: discovery does not tell history and depth.
DISCOVERED = Qos(
    QosHistory.UNKNOWN,
    0,
    QosReliability.BEST_EFFORT,
    QosDurability.VOLATILE,
    QosTime(9223372036, 854775807),
    QosTime(9223372036, 854775807),
    QosLiveliness.AUTOMATIC,
    QosTime(9223372036, 854775807),
    False,
)
LATCHED = DISCOVERED._replace(
    reliability=QosReliability.RELIABLE,
    durability=QosDurability.TRANSIENT_LOCAL,
    deadline=QosTime(0, 100_000_000),
)


def frame(i, shape=(12, 16)):
    return (29000 + 100 * i + np.arange(np.prod(shape)).reshape(shape)).astype(np.uint16)


def record(path, storage="mcap", count=3, shape=(12, 16)):
    """A bag such as rosbag2 makes: a type of one's own, and QoS as it was discovered."""
    with Writer(path, version=9, storage_plugin=STORAGES[storage]) as writer:
        topics = {
            "/cam/image_raw": (IMAGE, [DISCOVERED, LATCHED]),  # two publishers
            "/cam/camera_info": (CAMERA_INFO, [LATCHED]),
            "/probe": ("lab_msgs/msg/Probe", [DISCOVERED]),
        }
        c = {
            t: writer.add_connection(t, kind, typestore=STORE, offered_qos_profiles=qos)
            for t, (kind, qos) in topics.items()
        }
        for i in range(count):
            t = T0 + i * 10**8
            probe = TYPES["lab_msgs/msg/Probe"](300.0 + i, ["a", str(i)])
            for topic, message in (
                ("/cam/image_raw", image(header(t - 5), frame(i, shape))),
                ("/cam/camera_info", camera_info(header(t - 5), shape[1], shape[0])),
                ("/probe", probe),
            ):
                kind = topics[topic][0]
                writer.write(c[topic], t, STORE.serialize_cdr(message, kind))
    return path


def upscale(*arguments):
    return main(["upscale", *map(str, arguments), "--backend", "bicubic"])


def topics_of(bag):
    """What metadata.yaml says of the topics, without the counts."""
    info = yaml.safe_load((bag / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    return info, {t["topic_metadata"]["name"]: t for t in info["topics_with_message_count"]}


@pytest.mark.parametrize("storage", STORAGES)
def test_originals_keep_bytes_times_types_hashes_and_qos(tmp_path, storage):
    source, target = record(tmp_path / "in", storage), tmp_path / "out"
    assert upscale(source, target) == 0
    with BagReader(source) as old, BagReader(target) as new:
        originals = {c.topic for c in old.connections}
        before = [(c.topic, c.msgtype, t, bytes(d)) for c, t, d in old.read_raw()]
        after = [(c.topic, c.msgtype, t, bytes(d)) for c, t, d in new.read_raw()]
        assert [m for m in after if m[0] in originals] == before and len(before) == 9
        old_by, new_by = ({c.topic: c for c in bag.connections} for bag in (old, new))
        for topic in originals:
            assert new_by[topic].msgdef == old_by[topic].msgdef, topic
            assert new_by[topic].ext == old_by[topic].ext, topic
            assert new_by[topic].digest == old_by[topic].digest, topic
        # Results are offered as what they are made of.
        assert new_by["/cam/sr/image_raw"].ext == old_by["/cam/image_raw"].ext
        assert new_by["/cam/sr/camera_info"].ext == old_by["/cam/camera_info"].ext
    hashes = topics_of(target)[1]["/probe"]["topic_metadata"]["type_description_hash"]
    assert hashes == STORE.hash_rihs01("lab_msgs/msg/Probe")


@pytest.mark.parametrize(
    ("arguments", "centre"),
    [((), (31.5, 23.5)), (("--camera-info-convention", "image_proc"), (30.0, 22.0))],
)
def test_calibration_is_scaled_by_the_convention_that_was_asked_for(tmp_path, arguments, centre):
    target = tmp_path / "out"
    assert upscale(record(tmp_path / "in"), target, *arguments) == 0
    with BagReader(target) as bag:
        messages = [
            bag.deserialize(connection, data)
            for connection, _, data in bag.read_raw(["/cam/sr/camera_info"])
        ]
    assert len(messages) == 3
    for i, info in enumerate(messages):
        assert (info.width, info.height) == (64, 48)
        assert (info.k[0], info.k[4], info.p[0], info.p[5]) == (80.0, 80.0, 80.0, 80.0)
        assert (info.k[2], info.k[5]) == (info.p[2], info.p[6]) == centre
        stamp = info.header.stamp.sec * 10**9 + info.header.stamp.nanosec
        assert stamp == T0 + i * 10**8 - 5


@pytest.mark.parametrize(
    ("arguments", "shape", "size", "focal", "centre", "roi"),
    [
        (("--scale", "2"), (24, 32), (32, 24), (40, 40), (15.5, 11.5), (0, 0, 0, 0)),
        (("--scale", "2", "--roi", "4,2,8,6"), (12, 16), (32, 24), (40, 40), (15.5, 11.5),
         (8, 4, 16, 12)),
        (("--output-size", "24x0"), (18, 24), (24, 18), (30, 30), (11.5, 8.5), (0, 0, 0, 0)),
        (("--output-size", "32x32", "--output-fit", "letterbox", "--roi", "4,2,8,4"), (32, 32),
         (32, 32), (80, 80), (15.5, 23.5), (0, 0, 0, 0)),
    ],
)  # fmt: skip
def test_images_and_calibration_follow_sizes_and_regions(
    tmp_path, arguments, shape, size, focal, centre, roi
):
    target = tmp_path / "out"
    assert upscale(record(tmp_path / "in"), target, *arguments) == 0
    with BagReader(target) as bag:
        kinds = {"/cam/sr/camera_info": [], "/cam/sr/image_raw": []}
        for connection, _, data in bag.read_raw(list(kinds)):
            kinds[connection.topic].append(bag.deserialize(connection, data))
    infos, images = kinds.values()
    assert len(infos) == len(images) == 3
    for info, picture in zip(infos, images):
        assert (picture.height, picture.width) == shape
        assert (info.width, info.height) == size
        assert (info.k[0], info.k[4]) == focal
        assert (info.k[2], info.k[5]) == pytest.approx(centre)
        found = info.roi.x_offset, info.roi.y_offset, info.roi.width, info.roi.height
        assert found == roi


@pytest.mark.parametrize("storage", STORAGES)
def test_metadata_is_what_rosbag2_reads(tmp_path, storage):
    """Field by field, with the types that rosbag2_storage's yaml.hpp converts them to."""
    target = tmp_path / "out"
    assert upscale(record(tmp_path / "in", storage), target) == 0
    info, topics = topics_of(target)
    # Version 8 is the newest whose QoS Humble can read: text, with numbers for the policies.
    assert info["version"] == 8 and info["storage_identifier"] == storage
    assert info["ros_distro"] and info["compression_format"] == info["compression_mode"] == ""
    assert info["custom_data"] in (None, {})
    assert info["starting_time"] == {"nanoseconds_since_epoch": T0}
    assert info["duration"] == {"nanoseconds": 2 * 10**8}
    (name,) = info["relative_file_paths"]
    assert (target / name).is_file() and {p.name for p in target.iterdir()} == {
        name,
        "metadata.yaml",
    }
    assert info["files"] == [
        {
            "path": name,
            "starting_time": info["starting_time"],
            "duration": info["duration"],
            "message_count": 15,
        }
    ]
    assert info["message_count"] == 15 == sum(t["message_count"] for t in topics.values())
    assert set(topics) == {
        "/cam/image_raw",
        "/cam/camera_info",
        "/probe",
        "/cam/sr/image_raw",
        "/cam/sr/camera_info",
    }
    for topic in topics.values():
        assert topic["message_count"] == 3
        about = topic["topic_metadata"]
        assert about["serialization_format"] == "cdr"
        assert about["type_description_hash"].startswith("RIHS01_")
        assert int(about["type_description_hash"][7:], 16)
        profiles = yaml.safe_load(about["offered_qos_profiles"])
        for profile in profiles:
            assert all(
                type(profile[key]) is int
                for key in ("history", "depth", "reliability", "durability", "liveliness")
            )
            assert set(profile["deadline"]) == {"sec", "nsec"}
            assert profile["avoid_ros_namespace_conventions"] is False
    two = yaml.safe_load(topics["/cam/sr/image_raw"]["topic_metadata"]["offered_qos_profiles"])
    assert [(p["reliability"], p["durability"]) for p in two] == [(2, 2), (1, 1)]


def test_results_have_their_frames_headers_and_times(tmp_path):
    assert upscale(record(tmp_path / "in"), tmp_path / "out") == 0
    with BagReader(tmp_path / "out") as bag:
        order = [(c.topic, t) for c, t, _ in bag.read_raw()]
        records = list(bag.read_images("/cam/sr/image_raw"))
        infos = [bag.deserialize(c, d) for c, _, d in bag.read_raw(["/cam/sr/camera_info"])]
    assert len(records) == len(infos) == 3
    for i, (result, info) in enumerate(zip(records, infos)):
        stamp = result.message.header.stamp
        assert stamp.sec * 10**9 + stamp.nanosec == T0 + i * 10**8 - 5
        assert info.header.stamp == stamp and info.header.frame_id == "flir"
        assert (info.width, info.height, info.k[0], info.k[2]) == (64, 48, 80.0, 31.5)
        assert result.frame.shape == (48, 64) and result.message.encoding == "mono16"
        # A consumer must have seen a frame before its result.
        t = result.log_time_ns
        assert order.index(("/cam/image_raw", t)) < order.index(("/cam/sr/image_raw", t))


def test_a_bag_that_was_cut_off_gives_what_it_holds(tmp_path, caplog):
    whole = record(tmp_path / "in", count=40, shape=(120, 160))
    storage = next(whole.glob("*.mcap"))
    data = storage.read_bytes()
    storage.write_bytes(data[: int(0.7 * len(data))])
    report = tmp_path / "report.json"
    assert upscale(whole, tmp_path / "out", "--json", report) == 0
    written = json.loads(report.read_text())
    assert 5 < written["frames"] < 40
    assert written["notices"] and str(whole) in caplog.text
    with BagReader(tmp_path / "out") as bag:  # whole again
        assert bag.count("/cam/sr/image_raw") == bag.count("/cam/image_raw") == written["frames"]


COMMAND = [sys.executable, "-m", "difiisr_ros.cli", "upscale"]


@pytest.mark.parametrize("storage", STORAGES)
def test_a_full_disk_is_said_and_leaves_nothing(tmp_path, repository, storage):
    source = record(tmp_path / "in", storage, count=60, shape=(120, 160))

    def small_files_only():
        resource.setrlimit(resource.RLIMIT_FSIZE, (8 * 2**20, 8 * 2**20))

    done = subprocess.run(
        [*COMMAND, source, tmp_path / "out", "--backend", "bicubic"],
        preexec_fn=small_files_only,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=repository,
    )
    assert done.returncode == 2, done.stderr
    assert f"{tmp_path / 'out'}: cannot be written: " in done.stderr
    assert "Traceback" not in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["in"]


def test_an_interrupt_leaves_nothing(tmp_path, repository):
    source = record(tmp_path / "in", count=400, shape=(240, 320))
    process = subprocess.Popen(
        [*COMMAND, source, tmp_path / "out", "--backend", "bicubic"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=repository,
    )

    def begun():
        return any(p.stat().st_size > 2**20 for p in tmp_path.glob(".out.*/out/*"))

    while process.poll() is None and not begun():
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    output = process.communicate(timeout=60)[0].decode()
    assert process.returncode not in (0, None), output
    assert [p.name for p in tmp_path.iterdir()] == ["in"]


@pytest.mark.parametrize("storage", STORAGES)
def test_memory_does_not_grow_with_the_bag(tmp_path, repository, storage):
    """A bag ten times as long needs no more memory, give or take allocator noise."""
    code = (
        "import resource, sys\n"
        "from difiisr_ros.cli import main\n"
        "code = main(['upscale', *sys.argv[1:], '--backend', 'bicubic'])\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
        "sys.exit(code)"
    )

    def peak(count):
        source = record(tmp_path / f"in{count}", storage, count, (120, 160))
        done = subprocess.run(
            [sys.executable, "-c", code, source, tmp_path / f"out{count}"],
            capture_output=True,
            text=True,
            check=True,
            timeout=150,
            cwd=repository,
        )
        size = sum(p.stat().st_size for p in (tmp_path / f"out{count}").iterdir())
        return int(done.stdout.split()[-1]) * 1024, size

    (small, small_size), (large, large_size) = peak(20), peak(200)
    assert large_size - small_size > 100e6
    assert large - small < 0.25 * (large_size - small_size)


def test_a_topic_with_two_connections_is_one_topic(tmp_path):
    """mcap has a channel for each publisher; rosbag2 knows a topic once."""
    with Writer(tmp_path / "in", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        for i, qos in enumerate((DISCOVERED, LATCHED)):
            connection = writer.add_connection(
                "/cam/image_raw", IMAGE, typestore=STORE, offered_qos_profiles=[qos]
            )
            data = STORE.serialize_cdr(image(header(T0 + i), frame(i)), IMAGE)
            writer.write(connection, T0 + i, data)
    assert upscale(tmp_path / "in", tmp_path / "out") == 0
    with BagReader(tmp_path / "out") as bag:
        assert sorted((c.topic, c.msgcount) for c in bag.connections) == [
            ("/cam/image_raw", 2),
            ("/cam/sr/image_raw", 2),
        ]


def test_progress_shows_rate_and_remaining_time(tmp_path, monkeypatch, capsys):
    import tqdm as tqdm_module

    made = []

    class Shown(tqdm_module.tqdm):
        def __init__(self, *arguments, **options):
            made.append(options)
            super().__init__(*arguments, **{**options, "disable": False, "mininterval": 0})

    monkeypatch.setattr(tqdm_module, "tqdm", Shown)
    assert upscale(record(tmp_path / "in"), tmp_path / "out") == 0
    assert made[0]["total"] == 3 and made[0]["disable"] is None  # quiet where no terminal is
    assert "3/3 [" in capsys.readouterr().err


@pytest.mark.parametrize("definition", [True, False])
def test_topics_without_a_hash_get_one_that_fits(tmp_path, definition):
    """Humble's bags: mcap has definitions without hashes, sqlite3 neither."""
    from rosbags.interfaces import MessageDefinition, MessageDefinitionFormat

    record(tmp_path / "in")
    with BagReader(tmp_path / "in") as reader, BagWriter(tmp_path / "out") as writer:
        for connection in reader.connections:
            old = connection._replace(digest="")
            if not definition:
                old = old._replace(msgdef=MessageDefinition(MessageDefinitionFormat.NONE, ""))
            writer.add_topic_like(old)
        for connection, t, data in reader.read_raw():
            writer.write_raw(writer.add_topic_like(connection), t, data)
    _, topics = topics_of(tmp_path / "out")
    hashes = {name: t["topic_metadata"]["type_description_hash"] for name, t in topics.items()}
    assert hashes["/cam/image_raw"] == STORE.hash_rihs01(IMAGE)
    if definition:
        assert hashes["/probe"] == STORE.hash_rihs01("lab_msgs/msg/Probe")
    with BagReader(tmp_path / "out") as bag:
        assert len(list(bag.read_images())) == 3
