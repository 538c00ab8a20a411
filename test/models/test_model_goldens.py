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

"""Frame in, frame out: the embedded models' results are those that were written down.

Everything on the way counts: weights, noise, steps, what is told of the camera, the bound, the
options' defaults. Whoever changes it on purpose writes the goldens anew.
"""

from __future__ import annotations

import numpy as np
import pytest

from support.model_goldens import COMMAND, GOLDENS, Case, cases, results, summary

#: Counts of the crop. Processors and versions of PyTorch differ by less than a hundredth.
LARGEST, MEAN = 0.25, 0.02
ANEW = f"if that was to change, write the goldens anew: {COMMAND}"


@pytest.fixture(scope="module")
def goldens() -> dict[str, np.ndarray]:
    assert GOLDENS.is_file(), f"{GOLDENS} is missing; {COMMAND} writes it"
    with np.load(GOLDENS) as file:
        return dict(file)


@pytest.mark.needs("torch")
@pytest.mark.parametrize("model", ["lite", "nano"])
def test_results_are_those_that_were_written_down(goldens, model):
    crops = {key.split()[1]: goldens[key] for key in goldens if key.startswith("crop")}
    differ = []
    for case, result in results(model, crops, [case for case in cases() if case.model == model]):
        assert result.dtype == case.dtype
        assert result.shape == (96, 128)
        assert case.name in goldens, f"{case.name} is not in {GOLDENS.name}; {ANEW}"
        if said := _difference(case, summary(result, case.count), goldens[case.name]):
            differ.append(f"{case.name}: {said}")
    assert not differ, "\n".join([*differ, ANEW])


def _difference(case: Case, found: np.ndarray, golden: np.ndarray) -> str | None:
    """How a result differs by more than it may, in counts of the crop."""
    # Whole numbers: what lies at a half is rounded either way.
    step = 0.0 if case.dtype == "float32" else 1 / case.count
    difference = np.abs(found.astype(np.float64) - golden) / case.count
    pixels, (mean, spread) = difference[:-2], difference[-2:]
    limits = max(LARGEST, step + 1e-6), MEAN + 0.1 * step
    if pixels.max() <= limits[0] and max(pixels.mean(), mean, spread) <= limits[1]:
        return None
    return (
        f"pixels differ by up to {pixels.max():.3f} and {pixels.mean():.4f} on average, "
        f"the mean by {mean:.4f}, the standard deviation by {spread:.4f} counts"
    )


def test_goldens_are_those_of_the_cases_and_small(goldens):
    names = {case.name for case in cases()}
    assert {key for key in goldens if not key.startswith("crop")} == names
    assert GOLDENS.stat().st_size < 60_000
