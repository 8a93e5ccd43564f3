"""Bytes to values and back: pure parsers and packers."""
