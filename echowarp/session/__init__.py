"""Decisions only: handshakes, heartbeats, bans, streams; no sockets, no clock."""
