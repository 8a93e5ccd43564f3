"""Opens the server's sockets: TCP and UDP on one port, IPv4 and IPv6."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
import sys
from dataclasses import dataclass
from typing import Any, TypeAlias

from echowarp.errors import ConfigError

BACKLOG = 128
KERNEL_BUFFER_BYTES = 1 << 20
"""A second of 48 kHz stereo is 240 kB with headers; the kernel counts its own
bookkeeping too, and may grant less than it is asked for."""

IP_PKTINFO = getattr(socket, "IP_PKTINFO", {"linux": 8, "darwin": 26}.get(sys.platform))
HAS_PACKET_INFO = hasattr(socket.socket, "recvmsg") and IP_PKTINFO is not None
"""Whether the kernel tells to which of our addresses a datagram came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSockets:
    """What the server listens on. All are non-blocking."""

    tcp: tuple[socket.socket, ...]
    udp: tuple[socket.socket, ...]
    port: int

    def close(self) -> None:
        """Closes all of them."""
        for opened in self.tcp + self.udp:
            opened.close()


def open_server_sockets(bind: str | None, port: int) -> ServerSockets:
    """Binds TCP and UDP to one port.

    bind: a local address or host name, None for all IPv4 and IPv6 addresses;
    port: 1..65535, 0 for a free one (tests). Raises ConfigError when the port
    is taken or the address is not ours.
    """
    opened: list[socket.socket] = []
    try:
        tcp, udp = [], []
        for where in _places(bind, port):
            tcp.append(_open(where, socket.SOCK_STREAM))
            opened.append(tcp[-1])
        port = tcp[0].getsockname()[1]
        for listening in tcp:
            for local in _udp_addresses(listening):
                udp.append(_open((listening.family, local), socket.SOCK_DGRAM))
                opened.append(udp[-1])
    except (OSError, UnicodeError) as error:
        for each in opened:
            each.close()
        raise ConfigError(_bind_problem(error, bind, port)) from error
    return ServerSockets(tcp=tuple(tcp), udp=tuple(udp), port=port)


def open_web_sockets(bind: str | None, port: int) -> tuple[socket.socket, ...]:
    """Binds TCP to the port of the web door, where the server's other port is bound. All are
    non-blocking. bind: as of `open_server_sockets`. Raises ConfigError likewise."""
    opened: list[socket.socket] = []
    try:
        opened.extend(_open(where, socket.SOCK_STREAM) for where in _places(bind, port))
    except (OSError, UnicodeError) as error:
        for each in opened:
            each.close()
        raise ConfigError(_bind_problem(error, bind, port, "--web_port")) from error
    return tuple(opened)


_Address: TypeAlias = tuple[Any, ...]
_Place: TypeAlias = tuple[int, _Address]


def _places(bind: str | None, port: int) -> list[_Place]:
    if bind is None:
        places: list[_Place] = [(socket.AF_INET, ("0.0.0.0", port))]
        if port and _has_ipv6():
            places.append((socket.AF_INET6, ("::", port)))
        return places
    found = resolve(bind, port, socket.AI_PASSIVE)
    return [found[0]]


def resolve(host: str, port: int, flags: int = 0) -> list[tuple[int, tuple[Any, ...]]]:
    """The families and addresses of a name, or of a numeric address. An IPv6 address may
    stand in brackets, and a link-local one has its zone, as in fe80::1%eth0.

    Raises socket.gaierror or UnicodeError.
    """
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return [(family, address) for family, _, _, _, address in found]


def zone_advice(host: str) -> str | None:
    """What to say of a link-local address without a zone, or with that of no interface
    of this machine; None for any other host."""
    address, _, zone = host.strip("[]").partition("%")
    try:
        if not ipaddress.IPv6Address(address).is_link_local:
            return None
    except ValueError:
        return None
    names = ", ".join(name for _, name in socket.if_nameindex() if not name.startswith("lo"))
    known = f"; there are: {names}" if names else ""
    if not zone:
        return f"{address} is a link-local address: add its interface, as in {address}%NAME{known}"
    return f"{address} has no interface {zone} here{known}" if not _is_interface(zone) else None


def _is_interface(zone: str) -> bool:
    if zone.isdecimal():
        return True
    try:
        socket.if_nametoindex(zone)
    except OSError:
        return False
    return True


def _has_ipv6() -> bool:
    if not socket.has_ipv6:
        return False
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def _udp_addresses(listening: socket.socket) -> list[_Address]:
    """Where UDP is bound: one socket where the kernel tells the local address of a
    datagram or there is only one, else one for each local address."""
    family, address = listening.family, listening.getsockname()
    host, port = address[:2]
    if HAS_PACKET_INFO or host not in ("0.0.0.0", "::"):
        return [address]
    found = socket.getaddrinfo(socket.gethostname(), port, family, socket.SOCK_DGRAM)
    loopback = ("127.0.0.1" if family == socket.AF_INET else "::1", port)
    return sorted({entry[4] for entry in found} | {loopback}, key=str)


def _open(place: _Place, kind: socket.SocketKind) -> socket.socket:
    family, address = place
    made = socket.socket(family, kind)
    try:
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if kind == socket.SOCK_STREAM:
            if sys.platform != "win32":
                # There it would let another program take the port over.
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(address)
            made.listen(BACKLOG)
        else:
            grow_buffers(made)
            _ask_packet_info(made)
            made.bind(address)
        made.setblocking(False)
    except OSError:
        made.close()
        raise
    return made


def grow_buffers(sock: socket.socket) -> None:
    """Asks the kernel for room for a second of audio each way."""
    for which in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        # Some systems refuse what others only cut down.
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, which, KERNEL_BUFFER_BYTES)


def ready_accepted(sock: socket.socket, address: tuple[object, ...]) -> str | None:
    """Readies a connection that was accepted: gives its host, or None, and it is closed,
    where it has gone already; some systems tell that here."""
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return str(address[0])
    except (OSError, IndexError):
        sock.close()
        return None


def _ask_packet_info(udp: socket.socket) -> None:
    if not HAS_PACKET_INFO:
        return
    if udp.family == socket.AF_INET6:
        udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    else:
        assert IP_PKTINFO is not None
        udp.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)


def _bind_problem(
    error: OSError | UnicodeError, bind: str | None, port: int, option: str = "--udp_port"
) -> str:
    advice = None if bind is None else zone_advice(bind)
    if advice is not None:
        return f"--bind {advice}"
    if isinstance(error, (socket.gaierror, UnicodeError)):
        return f"--bind {bind}: this name has no address here"
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} is in use by another program: stop it, or choose another "
            f"port with {option}"
        )
    if error.errno == errno.EACCES:
        return f"port {port} may not be used without privileges: choose one above 1023"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"--bind {bind}: this machine does not have that address"
    return f"cannot listen on port {port}: {error.strerror or error}"
