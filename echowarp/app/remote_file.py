"""A file at a server, read as if it were here: as it comes, and from wherever one likes."""

from __future__ import annotations

import io

from echowarp.app.cache_link import CacheLink
from echowarp.session.cache_client import Download

MAX_ASKED = 4
"""256 KiB, more than a second of most sound: what is asked ahead should fit the network's
buffers, as a server may lose patience with who does not read."""


class RemoteFile(io.RawIOBase):
    """size: None where it is unknown. Owned by one thread, as its link.

    Reading raises what the link raises.
    """

    def __init__(self, link: CacheLink, stream_id: str, size: int | None) -> None:
        super().__init__()
        self._link = link
        self._id = stream_id
        self._size = size
        self._position = 0
        self._held = bytearray()  # from the position on
        self._task = self._begin(0)

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Where the next byte is read."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Goes there, forward or back, but for the end, which may be unknown."""
        assert whence in (io.SEEK_SET, io.SEEK_CUR)
        target = offset + (self._position if whence == io.SEEK_CUR else 0)
        ahead = target - self._position
        if 0 <= ahead <= len(self._held):
            del self._held[:ahead]
        elif ahead:
            self._task.stop()
            self._link.run(self._task)
            self._held.clear()
            self._task = self._begin(target)
        self._position = target
        return target

    def read(self, size: int = -1, /) -> bytes:
        """So many bytes, fewer only at the end."""
        assert size >= 0

        def has_enough() -> bool:
            for piece in self._task.pieces():
                self._held += piece
            return len(self._held) >= size

        if not has_enough():
            self._link.run(self._task, until=has_enough)
            has_enough()
        data = bytes(self._held[:size])
        del self._held[:size]
        self._position += len(data)
        return data

    def _begin(self, offset: int) -> Download:
        return Download(self._id, offset=offset, size=self._size, max_asked=MAX_ASKED)
