"""Recognises the frames in which a camera looks at its closed shutter to correct itself (FFC)."""

from __future__ import annotations

SHUTTER_POLICIES = ("pass", "hold", "drop")
LONGEST_S = 3.0
"""A shutter is closed for 0.3 to 2 s. What stays flat for longer is a wall, fog or the sky."""
_COLLAPSED = 0.25  # of the scene's spread
_NOISE_ONLY = 10.0  # spread of noise, pattern and a shutter's warm middle, in sigmas of the noise
_LOW_CONTRAST = 0.5, 6.0  # the same, where the scene itself is little more than noise
_NOTHING = 0.02  # of the scene's spread: flat without any noise
_GAIN = 0.2  # for each frame, of the scene's spread


class ShutterWatch:
    """Tells flat frames amid a scene from the scene, and a scene that has become flat from both.

    A frame is the shutter's where the spread has collapsed, from one frame to the next, to what
    noise alone makes. After :data:`LONGEST_S` it is a flat scene, and the measure for what follows.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the scene."""
        self._scene: float | None = None
        self._since: float | None = None

    def is_shutter(self, spread: float, noise: float, least: float, time: float) -> bool:
        """Look at the next frame of a stream.

        Args:
            spread: its 1st to 99th percentile, counts.
            noise: standard deviation of its white noise, counts.
            least: a spread that says nothing, as whole counts make it, or 0.
            time: seconds.
        """
        flat = self._scene is not None and _is_flat(spread, noise, least, self._scene)
        if flat:
            if self._since is None or time < self._since:
                self._since = time
            if time - self._since <= LONGEST_S:
                return True
        self._since = None
        if self._scene is None or flat:
            self._scene = spread
        else:
            self._scene += _GAIN * (spread - self._scene)
        return False


def _is_flat(spread: float, noise: float, least: float, scene: float) -> bool:
    if spread <= _COLLAPSED * scene:
        return spread <= max(_NOISE_ONLY * noise, _NOTHING * scene, least)
    share, sigmas = _LOW_CONTRAST
    return spread <= share * scene and spread <= sigmas * noise
