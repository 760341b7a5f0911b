"""The version, so that nobody imports the face for it."""

__version__ = "0.1.0"
