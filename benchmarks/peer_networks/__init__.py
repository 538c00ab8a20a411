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
