"""What a super-resolved frame is measured by, on the full frame.

PSNR and SSIM come from scikit-image, so that the figures can be compared with others'. Both need
the data range, the distance between the darkest and the brightest possible value: 255 for 8-bit
frames. For 16-bit and float frames the type's range says nothing about the scene (a thermal scene
fills a few percent of 16 bits, which would add 20 dB and more to any PSNR), so there it is the
distance between the lowest and the highest value of the HR frame, unless one is given.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

#: PSNR given to a frame without any error, so that means stay finite.
MAX_PSNR_DB = 100.0

#: SSIM as Wang et al. (IEEE TIP 13(4), 2004) define it: 11x11 Gaussian window, sigma 1.5.
#: scikit-image leaves out the 5 pixels at the border, where the window does not fit.
SSIM_SETTINGS = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
SSIM_MIN_SIDE = 11


def data_range(hr: np.ndarray) -> float:
    """Return the data range of an HR frame (see above); 1 for a flat 16-bit or float frame."""
    if hr.dtype == np.uint8:
        return 255.0
    return float(hr.max()) - float(hr.min()) or 1.0


def psnr(hr: np.ndarray, sr: np.ndarray, value_range: float) -> float:
    """Peak signal-to-noise ratio in dB, at most :data:`MAX_PSNR_DB`. Both H x W, same dtype."""
    from skimage.metrics import peak_signal_noise_ratio

    if np.array_equal(hr, sr):
        return MAX_PSNR_DB
    # float64 first: scikit-image would compute in float32 for float32 frames.
    ratio = peak_signal_noise_ratio(
        hr.astype(np.float64), sr.astype(np.float64), data_range=value_range
    )
    return min(float(ratio), MAX_PSNR_DB)


def ssim(hr: np.ndarray, sr: np.ndarray, value_range: float) -> float:
    """Mean structural similarity with :data:`SSIM_SETTINGS`. Both H x W, at least 11 a side."""
    from skimage.metrics import structural_similarity

    return float(
        structural_similarity(
            hr.astype(np.float64), sr.astype(np.float64), data_range=value_range, **SSIM_SETTINGS
        )
    )


def consistency(lr: np.ndarray, sr: np.ndarray) -> float:
    """How far the result is from what the camera measured: mean |downsample(SR) - LR|.

    Args:
        lr: H x W, the frame that was upscaled.
        sr: 4H x 4W, the result, as it would be published.

    Returns:
        Mean absolute difference in the frame's units (counts for integers). The downsampling is
        Pillow's antialiased bicubic in floating point, so that it adds no rounding of its own.
    """
    height, width = lr.shape
    reduced = Image.fromarray(np.ascontiguousarray(sr, dtype=np.float32)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    return float(np.abs(np.asarray(reduced, np.float64) - lr).mean())
