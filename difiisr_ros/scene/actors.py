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

"""What moves in the synthetic thermal scene: people who walk, cars that cross and come nearer.

Every motion is a function of the loop's phase (0..1) that ends where it began or starts and ends
out of sight, so the scene can be played in a loop without a jump.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from difiisr_ros.scene.canvas import Camera, Canvas, Patch, Point


@dataclass(frozen=True)
class Person:
    """Someone who walks across the view, or stands and shifts weight.

    ``clothes`` are surface temperatures in Celsius: (jacket, trousers). Skin is 33 to 34.
    """

    start: float
    end: float
    z: float
    offset: float
    clothes: tuple[float, float]
    height: float = 1.75
    steps: int = 10
    bag: bool = False

    def patch(self, camera: Camera, phase: float) -> Patch | None:
        """The person at a phase of the loop, or None when out of sight."""
        t = (phase + self.offset) % 1.0
        x = self.start + (self.end - self.start) * t
        canvas = Canvas(camera, x, self.z, (-0.75, -0.05, 0.75, 1.08 * self.height))
        if not canvas.visible:
            return None
        ahead = 1.0 if self.end >= self.start else -1.0
        walking = self.end != self.start
        swing = np.sin(2 * np.pi * self.steps * t) if walking else 0.12
        lift = np.cos(2 * np.pi * self.steps * t) if walking else 0.3
        sway = 0.0 if walking else 0.03 * np.sin(2 * np.pi * 2 * t)
        self._draw(canvas, ahead, swing, lift, sway)
        u, v = canvas.coordinates()
        folds = np.sin(23.0 * v + 9.0 * u + 5.0 * self.offset) * np.sin(17.0 * u - 6.0 * v)
        canvas.shade(0.45 * folds)
        return canvas.patch()

    def _draw(self, canvas: Canvas, ahead: float, swing: float, lift: float, sway: float) -> None:
        k = self.height / 1.75
        jacket, trousers = self.clothes
        hip: Point = (sway * k, (0.92 + 0.015 * abs(lift)) * k)
        neck: Point = ((sway * 1.6 + 0.05 * ahead * abs(swing)) * k, 1.47 * k)
        # the far limbs first, a little cooler, then the body, then the near ones
        for side, cooler in ((-1.0, 0.7), (1.0, 0.0)):
            self._leg(canvas, hip, ahead, side * swing, side * lift, k, trousers - cooler)
            if side < 0:
                self._arm(canvas, neck, ahead, swing, k, jacket - cooler)
        if self.bag:
            canvas.limb(
                (hip[0] - 0.24 * ahead * k, 1.02 * k),
                (neck[0] - 0.22 * ahead * k, 1.35 * k),
                0.13 * k,
                0.12 * k,
                23.6,
            )
        shoulder = (neck[0], neck[1] - 0.10 * k)
        canvas.limb(hip, shoulder, 0.150 * k, 0.185 * k, jacket)
        canvas.limb(
            (neck[0], neck[1] - 0.02 * k),
            (neck[0] + 0.02 * ahead * k, neck[1] + 0.07 * k),
            0.065 * k,
            0.06 * k,
            32.9,
        )
        head = (neck[0] + 0.035 * ahead * k, neck[1] + 0.175 * k)
        canvas.limb(
            (head[0], head[1] - 0.035 * k),
            (head[0], head[1] + 0.03 * k),
            0.092 * k,
            0.100 * k,
            33.8,
        )
        hair = [
            (head[0] + r * np.cos(a) * k - 0.012 * ahead * k, head[1] + r * np.sin(a) * k)
            for a, r in ((0.5, 0.118), (1.0, 0.135), (1.6, 0.14), (2.2, 0.135), (2.7, 0.118))
        ]
        hair.append((head[0], head[1] + 0.045 * k))
        canvas.polygon([(p[0] if ahead > 0 else 2 * head[0] - p[0], p[1]) for p in hair], 28.6)
        self._arm(canvas, neck, ahead, -swing, k, jacket)

    def _leg(self, canvas, hip: Point, ahead, swing, lift, k: float, celsius: float) -> None:
        thigh = 0.50 * swing
        # the knee bends while the foot is off the ground and coming forward
        bend = 0.25 + 0.75 * max(0.0, lift) if abs(swing) < 0.98 else 0.25
        shin = thigh - bend * (0.9 if lift > 0 else 0.25)
        knee = (hip[0] + ahead * 0.44 * k * np.sin(thigh), hip[1] - 0.44 * k * np.cos(thigh))
        ankle = (knee[0] + ahead * 0.42 * k * np.sin(shin), knee[1] - 0.42 * k * np.cos(shin))
        canvas.limb(hip, knee, 0.105 * k, 0.075 * k, celsius)
        canvas.limb(knee, ankle, 0.073 * k, 0.05 * k, celsius - 0.3)
        toe = (ankle[0] + ahead * 0.17 * k, ankle[1] - 0.035 * k + 0.06 * k * max(0.0, lift))
        canvas.limb((ankle[0], ankle[1] - 0.02 * k), toe, 0.05 * k, 0.038 * k, 26.2)

    def _arm(self, canvas, neck: Point, ahead, swing, k: float, celsius: float) -> None:
        shoulder = (neck[0], neck[1] - 0.09 * k)
        upper = 0.45 * swing
        elbow = (
            shoulder[0] + ahead * 0.29 * k * np.sin(upper),
            shoulder[1] - 0.29 * k * np.cos(upper),
        )
        lower = upper + 0.45
        wrist = (elbow[0] + ahead * 0.24 * k * np.sin(lower), elbow[1] - 0.24 * k * np.cos(lower))
        hand = (wrist[0] + ahead * 0.08 * k * np.sin(lower), wrist[1] - 0.08 * k * np.cos(lower))
        canvas.limb(shoulder, elbow, 0.060 * k, 0.050 * k, celsius - 0.2)
        canvas.limb(elbow, wrist, 0.048 * k, 0.040 * k, celsius)
        canvas.limb(wrist, hand, 0.040 * k, 0.034 * k, 33.0)


@dataclass(frozen=True)
class CrossingCar:
    """A car on the cross street, seen from the side; it runs from ``start`` to ``end`` (X, m)."""

    start: float
    end: float
    z: float
    offset: float
    body: float = 19.6
    van: bool = False

    def patch(self, camera: Camera, phase: float) -> Patch | None:
        """The car at a phase of the loop, or None when out of sight."""
        t = (phase + self.offset) % 1.0
        x = self.start + (self.end - self.start) * t
        canvas = Canvas(camera, x, self.z, (-3.4, -0.1, 3.4, 2.5))
        if not canvas.visible:
            return None
        f = 1.0 if self.end > self.start else -1.0

        def fill(points: list[Point], celsius: float, opacity: float = 1.0) -> None:
            canvas.polygon([(f * u, v) for u, v in points], celsius, opacity)

        fill([(-2.0, 0.0), (2.1, 0.0), (1.7, 0.16), (-1.8, 0.16)], 26.4, 0.55)  # warmed road
        u, v = canvas.coordinates()
        behind = np.maximum(-2.3 - f * u, 0.0)  # metres behind the exhaust pipe
        spread = 0.07 + 0.16 * behind
        fume = np.exp(-(((v - 0.3 - 0.12 * behind) / spread) ** 2) - behind / 0.55)
        canvas.blend(np.float32(33.0), 0.75 * fume * (f * u < -2.3))
        if self.van:
            outline = [
                (-2.3, 0.35),
                (-2.32, 2.05),
                (-2.2, 2.2),
                (0.95, 2.2),
                (1.2, 2.1),
                (1.75, 1.25),
                (2.35, 1.08),
                (2.42, 0.4),
            ]
            roof_line = [(-2.3, 2.02), (0.98, 2.02), (0.9, 2.2), (-2.2, 2.2)]
            windows = [[(0.35, 1.3), (1.55, 1.3), (1.12, 1.98), (0.35, 1.98)]]
        else:
            outline = [
                (-2.18, 0.35),
                (-2.22, 0.85),
                (-1.95, 0.98),
                (-1.25, 1.42),
                (-0.4, 1.5),
                (0.35, 1.44),
                (1.05, 0.99),
                (1.95, 0.86),
                (2.2, 0.66),
                (2.2, 0.35),
            ]
            roof_line = [
                (-1.25, 1.36),
                (-0.4, 1.43),
                (0.35, 1.38),
                (0.35, 1.46),
                (-0.4, 1.52),
                (-1.25, 1.44),
            ]
            windows = [
                [(-1.45, 1.0), (-0.42, 1.0), (-0.42, 1.40), (-1.12, 1.34)],
                [(-0.32, 1.0), (0.82, 1.0), (0.28, 1.36), (-0.32, 1.40)],
            ]
        fill(outline, self.body)
        fill(roof_line, self.body - 3.6)  # what faces up mirrors the sky
        fill([(-2.2, 0.35), (2.2, 0.35), (2.2, 0.55), (-2.2, 0.55)], self.body + 1.0)
        for i in range(6):  # the engine warms the bonnet
            back = 1.02 + 0.17 * i
            front = back + 0.18
            heat = 9.0 * np.exp(-(((i - 2.5) / 2.2) ** 2))
            top = 0.99 - 0.024 * i * 1.2
            fill([(back, 0.56), (front, 0.56), (front, top - 0.04), (back, top)], self.body + heat)
        for window in windows:
            fill(window, 16.9)
            (u0, v0), (u1, _) = window[0], window[1]
            fill(
                [(u0 + 0.15, v0), (u0 + 0.4, v0), (u0 + 0.62, v0 + 0.3), (u0 + 0.4, v0 + 0.3)],
                18.4,
                0.7,
            )
            if u1 > 0.5 and not self.van:  # the driver, dim through the side window
                canvas.ellipse(f * 0.12, 1.17, 0.10, 0.13, 21.5)
        fill([(-0.40, 0.5), (-0.34, 0.5), (-0.34, 1.4), (-0.40, 1.4)], self.body - 0.8)
        fill([(2.05, 0.62), (2.2, 0.6), (2.2, 0.74), (1.98, 0.78)], 30.5)  # headlamp
        fill([(-2.2, 0.66), (-2.06, 0.66), (-2.04, 0.82), (-2.2, 0.84)], 25.5)
        fill([(-2.3, 0.27), (-2.05, 0.27), (-2.05, 0.36), (-2.3, 0.36)], 47.0)  # exhaust
        self._wheels(canvas, f, x)
        return canvas.patch()

    def _wheels(self, canvas: Canvas, f: float, x: float) -> None:
        for u in (-1.36, 1.36):
            canvas.ellipse(f * u, 0.36, 0.41, 0.41, 19.2)  # the dark arch
            canvas.ellipse(f * u, 0.33, 0.33, 0.33, 30.2)  # tyre
            canvas.ellipse(f * u, 0.33, 0.225, 0.225, 25.0)  # rim
            canvas.ellipse(f * u, 0.33, 0.15, 0.15, 36.5)  # brake disc
            for spoke in range(5):
                a = -x / 0.33 + spoke * 2 * np.pi / 5
                canvas.limb(
                    (f * u, 0.33),
                    (f * u + 0.2 * np.cos(a), 0.33 + 0.2 * np.sin(a)),
                    0.03,
                    0.025,
                    25.6,
                )


@dataclass(frozen=True)
class OncomingCar:
    """A car that comes nearer down the street, from far away, and turns off at the crossing."""

    x: float
    far: float
    near: float
    offset: float

    def patch(self, camera: Camera, phase: float) -> Patch | None:
        """The car at a phase of the loop, or None when it has turned off."""
        t = (phase + self.offset) % 1.0
        z = self.far + (self.near - self.far) * min(1.0, t / 0.8)
        x = self.x - 60.0 * max(0.0, t - 0.8) ** 1.5 * 6.0
        canvas = Canvas(camera, x, z, (-1.4, -0.1, 1.4, 1.8))
        if not canvas.visible:
            return None
        canvas.polygon([(-1.0, -0.05), (1.0, -0.05), (0.85, 0.3), (-0.85, 0.3)], 28.0, 0.6)
        for u in (-0.74, 0.74):
            canvas.polygon(
                [(u - 0.13, 0.0), (u + 0.13, 0.0), (u + 0.13, 0.5), (u - 0.13, 0.5)], 30.5
            )
        canvas.polygon(
            [
                (-0.9, 0.25),
                (0.9, 0.25),
                (0.92, 0.75),
                (0.8, 0.98),
                (0.6, 1.44),
                (-0.6, 1.44),
                (-0.8, 0.98),
                (-0.92, 0.75),
            ],
            22.8,
        )
        canvas.polygon([(-0.55, 1.38), (0.55, 1.38), (0.72, 1.0), (-0.72, 1.0)], 16.6)
        canvas.polygon([(-0.56, 1.38), (0.56, 1.38), (0.5, 1.46), (-0.5, 1.46)], 18.6)
        canvas.polygon([(-0.78, 0.98), (0.78, 0.98), (0.86, 0.78), (-0.86, 0.78)], 27.2)
        canvas.polygon([(-0.45, 0.45), (0.45, 0.45), (0.5, 0.74), (-0.5, 0.74)], 36.5)  # radiator
        canvas.polygon([(-0.45, 0.58), (0.45, 0.58), (0.45, 0.62), (-0.45, 0.62)], 27.0)
        for u in (-0.7, 0.7):
            canvas.ellipse(u, 0.68, 0.14, 0.08, 33.0)
        return canvas.patch()


def actors() -> list[Person | CrossingCar | OncomingCar]:
    """The cast. Speeds are those of people (1.4 m/s) and town traffic for a loop of 10 s."""
    return [
        Person(-7.0, 7.0, 8.2, 0.0, (27.0, 28.6), steps=10),
        Person(7.6, -6.4, 9.3, 0.62, (29.3, 27.4), height=1.66, steps=10, bag=True),
        Person(4.75, 4.75, 10.2, 0.2, (28.8, 27.2), height=1.80),
        Person(5.42, 5.42, 10.4, 0.7, (26.6, 28.9), height=1.68),
        Person(-14.0, 2.0, 22.0, 0.3, (28.4, 27.3), steps=11),
        CrossingCar(-32.0, 32.0, 15.2, 0.08, body=19.6),
        CrossingCar(34.0, -34.0, 18.6, 0.75, body=23.0, van=True),
        OncomingCar(-1.75, 75.0, 19.5, 0.35),
    ]
