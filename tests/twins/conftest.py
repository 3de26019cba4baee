"""The fixtures of this folder."""

from twins_rig import rig, visit

__all__ = ["rig", "visit"]
