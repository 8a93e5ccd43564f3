"""EchoWarp: sound from one machine to another, from a terminal."""

__version__ = "1.0.0"
