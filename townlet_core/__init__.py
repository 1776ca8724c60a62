"""Townlet's core: the town, the capture, the learner. Import the room you need; this file stays empty."""

__version__ = "0.1.0"
