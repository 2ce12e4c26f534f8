"""Comparisons as a folder that is shown anywhere: from a USB stick, on paper, on a projector, without a server."""

from musiscene.showcase.build import Showcase, build_showcase

__all__ = ["Showcase", "build_showcase"]
