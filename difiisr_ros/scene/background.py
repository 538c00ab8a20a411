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

"""The still part of the synthetic thermal scene: sky, street, facades, trees, fence, lamp.

Everything is a function of metres on a plane (ground, wall), evaluated for every pixel and
softened over one pixel's footprint, so that no edge shows steps and nothing finer than a pixel
aliases. Temperatures are those of a mild evening: masonry and asphalt give back the day's heat,
glass and car bodies mirror the cold sky, and heated rooms leak below windows and at floor slabs.
"""

from __future__ import annotations

import cv2
import numpy as np

from difiisr_ros.scene.canvas import Camera, Canvas, Patch, fractal_noise

#: Where the cross street begins and ends, metres ahead.
CROSS_STREET = (12.5, 20.5)
ROAD_HALF_WIDTH = 3.6
_KERB = 0.35
_FACADE_RIGHT, _FACADE_LEFT = 7.4, -9.5


class Background:
    """Paints the still scene once. ``picture`` is degrees Celsius, float32, height x width."""

    def __init__(self, camera: Camera, rng: np.random.Generator) -> None:
        self._camera = camera
        self._noise = fractal_noise(rng)
        self._rng = rng
        more = camera.supersampling // 2
        fine = Camera(more * camera.width, more * camera.height, camera.eye_height)
        rows = np.arange(fine.height, dtype=np.float32)[:, None] + 0.5
        columns = np.arange(fine.width, dtype=np.float32)[None, :] + 0.5
        picture = self._sky(fine, rows, columns)
        self._skyline(fine, picture, columns, rows)
        self._ground(fine, picture, rows, columns)
        self._end_house(fine, picture, rows, columns)
        for side in (_FACADE_LEFT, _FACADE_RIGHT):
            self._facade(fine, picture, rows, columns, side)
        size = (camera.width, camera.height)
        self.picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        trees = (
            self._tree(-6.7, 34.0, 7.6),
            self._tree(-8.6, 24.0, 7.8),
            self._tree(4.6, 57.0, 6.0),
        )
        for patch in (*trees, self._fence(), self._cables()):
            patch.composite(self.picture)

    # ---- helpers -------------------------------------------------------------------------------

    def _texture(self, u: np.ndarray, v: np.ndarray, metres: float) -> np.ndarray:
        """The noise texture, one tile every ``metres``, at plane coordinates u, v."""
        size = self._noise.shape[0]
        u, v = np.broadcast_arrays(u, v)
        if u.size == 0:
            return np.zeros(u.shape, np.float32)
        return cv2.remap(
            self._noise,
            np.mod(u * (size / metres), size).astype(np.float32),
            np.mod(v * (size / metres), size).astype(np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_WRAP,
        )

    # ---- parts ---------------------------------------------------------------------------------

    def _sky(self, camera: Camera, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        up = np.clip((camera.horizon - rows) / camera.focal, 0.0, 1.0)
        u = (columns - camera.centre) / camera.focal
        clouds = self._texture(u, 2.5 * up, 1.7)
        return (17.5 - 6.5 * np.sqrt(up) + (0.55 + 0.9 * up) * clouds).astype(np.float32)

    def _skyline(
        self, camera: Camera, picture: np.ndarray, columns: np.ndarray, rows: np.ndarray
    ) -> None:
        """Trees and roofs far away, a soft uneven band over the horizon."""
        u = (columns - camera.centre) / camera.focal
        ridge = 0.055 + 0.018 * self._texture(u, np.full_like(u, 0.3), 2.5)[0]
        up = (camera.horizon - rows) / camera.focal
        cover = np.clip((ridge[None, :] - up) * camera.focal + 0.5, 0.0, 1.0)
        leaves = self._texture(np.broadcast_to(u, cover.shape), up, 0.35)
        picture += cover * (18.6 + 0.35 * leaves - picture)

    def _ground(
        self, camera: Camera, picture: np.ndarray, rows: np.ndarray, columns: np.ndarray
    ) -> None:
        first = int(np.ceil(camera.horizon + 1))
        z = camera.focal * camera.eye_height / (rows[first:] - camera.horizon)
        x = (columns - camera.centre) * z / camera.focal
        step = z / camera.focal  # one pixel, metres across
        deep = z * z / (camera.focal * camera.eye_height)  # one pixel, metres ahead
        z = np.broadcast_to(z, x.shape)
        near = np.clip(1.6 - z / 40.0, 0.15, 1.0)

        grass = 19.0 + near * (0.8 * self._texture(x, z, 9.0) + 0.6 * self._texture(x, z, 2.3))
        asphalt = 24.6 + 0.35 * self._texture(x, z, 14.0) + 0.22 * near * self._texture(x, z, 1.5)
        slabs = _box(np.mod(x, 1.2), 0.05, 1.15, step) * _box(np.mod(z, 1.2), 0.06, 1.14, deep)
        pavement = 22.2 + 0.4 * self._texture(x, z, 6.0) - 1.3 * near * (1 - slabs)
        pavement += 0.5 * (np.mod(np.floor(x / 1.2) * 7 + np.floor(z / 1.2) * 3, 5) / 5 - 0.4)

        lane = np.abs(np.abs(x) - ROAD_HALF_WIDTH / 2)
        asphalt += 0.9 * np.exp(-(((lane - 0.75) / 0.28) ** 2))  # wheel tracks stay warm
        asphalt += 0.9 * np.exp(-(((z - 14.6) / 0.5) ** 2)) + 0.7 * np.exp(
            -(((z - 18.4) / 0.5) ** 2)
        )
        ahead = _box(z, *CROSS_STREET, deep)
        dashes = _box(np.mod(z, 3.0), 0.0, 1.5, deep) * (1 - ahead)
        paint = _box(x, -0.07, 0.07, step) * dashes
        stripes = _box(np.mod(x + 0.25, 1.0), 0.0, 0.5, step)
        inside = _box(x, 0.3 - ROAD_HALF_WIDTH, ROAD_HALF_WIDTH - 0.3, step)
        paint += stripes * inside * (_box(z, 7.0, 9.6, deep) + _box(z, 21.0, 23.2, deep))
        asphalt -= 2.1 * paint
        cracks = np.abs(self._texture(x, z, 5.0)) * 0.35
        asphalt -= 0.9 * np.clip(1.0 - cracks / (0.012 + 0.25 * step), 0.0, 1.0) * near
        patch = _box(x, -3.1, -1.2, step) * _box(z, 4.3, 6.3, deep)  # a repaired trench
        asphalt += patch * (1.0 + 0.25 * self._texture(x, z, 0.9))
        manhole = np.hypot(x - 1.1, z - 6.0)
        asphalt += 1.8 * np.clip((0.34 - manhole) / step + 0.5, 0, 1)

        road = np.maximum(_box(x, -ROAD_HALF_WIDTH, ROAD_HALF_WIDTH, step), ahead)
        edge = ROAD_HALF_WIDTH + _KERB
        kerb = np.maximum(
            _box(x, -edge, edge, step),
            _box(z, CROSS_STREET[0] - _KERB, CROSS_STREET[1] + _KERB, deep),
        )
        walk = np.maximum(
            _box(x, -6.2, 30.0, step), _box(z, CROSS_STREET[0] - 2.2, CROSS_STREET[1] + 2.2, deep)
        )
        ground = grass + walk * (pavement - grass)
        ground += kerb * (21.0 - ground)
        ground += road * (asphalt - ground)
        haze = np.clip(z / 160.0, 0.0, 0.7)
        picture[first:] = ground + haze * (18.8 - ground)

    def _facade(
        self,
        camera: Camera,
        picture: np.ndarray,
        rows: np.ndarray,
        columns: np.ndarray,
        side: float,
    ) -> None:
        """A row of houses along the street, a wall in the plane X = side."""
        toward = (columns - camera.centre) / side
        seen = toward > camera.focal / 90.0
        z = camera.focal / np.where(seen, toward, 1.0)
        h = camera.eye_height - (rows - camera.horizon) * z / camera.focal
        step, deep = z / camera.focal, z * z / (camera.focal * abs(side))
        starts, ends, roof = (21.5, 46.0, 9.9) if side > 0 else (38.0, 66.0, 8.5)
        wall = _box(z, starts, ends, deep) * _box(h, 0.0, roof, step)
        wall = np.where(seen, wall, 0.0)
        at = _extent(wall)
        seed = 3.0 if side > 0 else 8.0
        values = self._wall(z[:, at[1]], h[at], deep[:, at[1]], step[:, at[1]], roof, seed)
        picture[at] += wall[at] * (values - picture[at])

    def _end_house(
        self, camera: Camera, picture: np.ndarray, rows: np.ndarray, columns: np.ndarray
    ) -> None:
        """The corner house's front, facing the camera across the side street."""
        for z, left, right, roof, seed in (
            (62.0, -7.0, 5.5, 13.0, 5.0),
            (21.5, _FACADE_RIGHT, 40.0, 9.9, 4.0),
            (24.5, -40.0, -11.0, 6.9, 9.0),
        ):
            step = np.float32(z / camera.focal)
            u = (columns - camera.centre) * step
            h = camera.eye_height - (rows - camera.horizon) * step
            wall = _box(u, left, right, step) * _box(h, 0.0, roof, step)
            at = _extent(wall)
            values = self._wall(u[:, at[1]] - left, h[at[0]], step, step, roof, seed)
            picture[at] += wall[at] * (values - (1.2 if z > 30 else 0.4) - picture[at])

    def _wall(self, u, h, du, dh, roof: float, seed: float) -> np.ndarray:
        """Temperature of a house wall at u metres along and h metres up."""
        u, h = np.broadcast_arrays(np.asarray(u, np.float32), np.asarray(h, np.float32))
        value = 21.7 + 0.45 * self._texture(u, h, 9.0) + 0.2 * self._texture(u, h, 1.3)
        value += (
            0.9 * np.exp(-np.maximum(h, 0.0) / 0.9) - 0.05 * h
        )  # the street warms the wall's foot
        stains = self._texture(u, 0.12 * h, 2.2)
        value -= 0.35 * np.clip(stains - 0.4, 0.0, 1.5)  # where water ran down
        floor, bay = 3.1, 2.7
        level, column = np.floor(h / floor), np.floor(u / bay)
        up, along = h - level * floor, u - column * bay
        value += 0.9 * _box(up, 0.0, 0.22, dh)  # floor slabs leak heat
        value += 0.7 * _box(h, roof - 0.45, roof, dh) - 2.4 * _box(h, roof - 0.16, roof, dh)
        # a value per window that looks random but needs no state
        chance = np.mod(np.abs(np.sin(column * 12.9898 + level * 78.233 + seed) * 43758.5), 1.0)
        shop = level == 0
        lo = np.where(shop, 0.35, 0.62).astype(np.float32)
        frame = _box(along, lo - 0.12, bay - lo + 0.12, du) * _box(up, 0.85, 2.57, dh)
        glass = _box(along, lo, bay - lo, du) * _box(up, 0.97, 2.45, dh)
        bars = np.maximum(_box(along, bay / 2 - 0.05, bay / 2 + 0.05, du), _box(up, 1.9, 1.98, dh))
        radiator = _box(along, lo + 0.1, bay - lo - 0.1, du) * _box(up, 0.35, 0.8, dh)
        value += np.where(chance > 0.45, 1.3, 0.25) * radiator * ~shop
        value += frame * (22.9 - value)
        mirrored = 16.6 + 1.3 * chance + 0.3 * self._texture(u + 9.0 * chance, h, 4.0) - 0.5 * up
        curtain = np.where(along < bay * (0.3 + 0.5 * chance), 1.4, 0.0)
        pane = np.where(chance > 0.78, 24.4 + chance - curtain, mirrored + 0.5 * curtain)
        value += glass * (1 - bars) * (pane - value)
        cooler = np.mod(chance * 7.0, 1.0) > 0.86  # an air conditioner at work
        unit = _box(along, lo + 0.2, lo + 0.95, du) * _box(up, 0.28, 0.82, dh) * (cooler & ~shop)
        value += unit * (27.5 + 1.5 * np.cos(40.0 * up) - value)
        pipe = _box(np.mod(u, 4 * bay), 0.05, 0.22, du)
        return (value + pipe * (20.1 - value)).astype(np.float32)

    def _tree(self, x: float, z: float, height: float) -> Patch:
        """A tree: trunk and boughs, and a ragged crown of leaves with the sky in its gaps."""
        extent = (-0.55 * height, 0.0, 0.55 * height, 1.2 * height)
        canvas = Canvas(self._camera, x, z, extent)
        middle, crown = 0.70 * height, 0.42 * height
        canvas.limb((0.0, 0.0), (0.1, 0.6 * height), 0.21, 0.13, 21.4)
        for angle in np.linspace(-1.1, 1.1, 7):
            tip = (0.9 * crown * np.sin(angle), middle + 0.75 * crown * np.cos(angle))
            canvas.limb((0.05, 0.38 * height), tip, 0.11, 0.04, 21.0)
        u, v = canvas.coordinates()
        shift = x + 31.0
        lobes = self._texture(u + shift, v, 0.85 * height)
        leaves = self._texture(u + shift, v, 0.26 * height)
        twigs = self._texture(v, u - shift, 0.55)
        reach = np.hypot(u, (v - middle) * np.where(v < middle, 1.25, 1.0)) / crown
        dense = 1.0 - reach + 0.22 * lobes + 0.16 * leaves + 0.05 * twigs
        cover = np.clip(dense * crown / canvas.pixel + 0.5, 0.0, 1.0)
        gaps = np.clip((leaves + 0.6 * twigs - 1.25) * 4.0, 0.0, 1.0) * np.clip(1.3 - dense, 0, 1)
        tone = 19.7 + 0.35 * lobes + 0.42 * leaves + 0.3 * twigs - 0.8 * (v - middle) / crown
        canvas.blend(tone, cover * (1.0 - gaps))
        return canvas.patch()

    def _fence(self) -> Patch:
        """A railing before the grass on the left, seen from the front."""
        canvas = Canvas(self._camera, -9.0, 23.4, (-9.0, 0.0, 4.4, 1.4))
        for u in np.arange(-8.8, 4.3, 0.42):
            canvas.polygon([(u, 0.0), (u + 0.07, 0.0), (u + 0.07, 1.1), (u, 1.1)], 20.6)
        for v in (0.18, 1.0):
            canvas.polygon([(-8.8, v), (4.3, v), (4.3, v + 0.09), (-8.8, v + 0.09)], 20.6)
        return canvas.patch()

    def _cables(self) -> Patch:
        """Two cables across the street, warm against the sky and thinner than a camera pixel."""
        canvas = Canvas(self._camera, 0.0, 24.0, (-12.0, 4.0, 9.0, 11.0))
        for high, sag in ((8.3, 0.9), (7.7, 0.7)):
            u = np.linspace(-11.5, 7.6, 30)
            v = high + 0.06 * u - sag * (1.0 - ((u + 2.0) / 9.6) ** 2)
            for a, b in zip(zip(u, v), zip(u[1:], v[1:])):
                canvas.limb(a, b, 0.03, 0.03, 20.5)
        return canvas.patch()


def foreground(camera: Camera) -> list[Patch]:
    """Still things that moving ones pass behind: a street lamp and a traffic sign."""
    lamp = Canvas(camera, 4.35, 11.0, (-2.6, 0.0, 0.5, 6.4))
    lamp.limb((0.0, 0.0), (0.0, 5.4), 0.085, 0.06, 20.4)
    lamp.limb((0.0, 5.4), (-0.35, 5.95), 0.06, 0.05, 20.2)
    lamp.limb((-0.35, 5.95), (-1.9, 6.1), 0.05, 0.045, 20.2)
    lamp.polygon([(-2.35, 5.98), (-1.5, 6.03), (-1.5, 6.2), (-2.25, 6.16)], 24.0)
    lamp.polygon([(-2.2, 5.98), (-1.7, 6.01), (-1.7, 6.07), (-2.2, 6.04)], 33.0)
    sign = Canvas(camera, -4.3, 9.5, (-0.5, 0.0, 0.5, 3.2))
    sign.limb((0.0, 0.0), (0.0, 2.3), 0.035, 0.035, 20.3)
    sign.polygon([(-0.40, 2.95), (0.40, 2.95), (0.0, 2.25)], 18.0)
    sign.polygon([(-0.27, 2.87), (0.27, 2.87), (0.0, 2.40)], 20.6)
    return [lamp.patch(), sign.patch()]


def _extent(cover: np.ndarray) -> tuple[slice, slice]:
    """The rows and columns where anything is covered (possibly none)."""
    places = []
    for axis in (1, 0):
        used = np.flatnonzero(cover.max(axis=axis) > 0)
        places.append(slice(int(used[0]), int(used[-1]) + 1) if used.size else slice(0, 0))
    return places[0], places[1]


def _box(x: np.ndarray, lo, hi, footprint) -> np.ndarray:
    """1 between lo and hi, 0 outside, with edges one footprint wide: a pixel's coverage."""
    inner = np.minimum((x - lo) / footprint, (hi - x) / footprint) + 0.5
    # A bar thinner than the footprint never reaches 1, it reaches the share it covers.
    return np.clip(inner, 0.0, np.minimum(1.0, (hi - lo) / footprint))
