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

"""Networks that others run for x4 super-resolution, written from their papers, for timing.

Every network takes N x C x H x W and gives N x C x 4H x 4W. Layer counts and widths are the
published ones, so that random weights give the right time; no published weights fit.
"""

from peer_networks.compact import Compact
from peer_networks.edsr import EdsrBaseline
from peer_networks.plain import PlainResidual
from peer_networks.span import Span
from peer_networks.swinir_light import SwinIRLight

__all__ = ["Compact", "EdsrBaseline", "PlainResidual", "Span", "SwinIRLight"]
