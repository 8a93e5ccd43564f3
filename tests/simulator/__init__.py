"""The whole program in one process under a virtual clock.

A server, clients, a network with delay, loss and outages, and sinks: a file, or
a sound card whose clock is off by some ppm. No socket, no thread, no real time;
the same seed gives the same run.
"""

from tests.simulator.client import SimClient
from tests.simulator.clock import MS, Clock, Network, S
from tests.simulator.server import FMT, HOST, SimServer, payload
from tests.simulator.world import Stall, World

__all__ = [
    "FMT",
    "HOST",
    "MS",
    "Clock",
    "Network",
    "S",
    "SimClient",
    "SimServer",
    "Stall",
    "World",
    "payload",
]
