"""Background jobs on Bull 4's Redis format."""

__version__ = "0.1.0"
