"""Composition: one of each wired into a server or a client."""
