"""Sockets and the threads that pump them."""
