"""One run of `echowarp cache`: a file to a server, back again, and compared."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePath

from echowarp.app.cache_link import CacheLink, find_server
from echowarp.app.part_file import EXTENSION, PartFile, check_output
from echowarp.config.cache_options import CacheSettings, Job
from echowarp.errors import ConfigError, MismatchError, RefusedError
from echowarp.session.cache_client import MAX_ASKED, Download, Upload
from echowarp.ui.progress import megabytes, render_progress
from echowarp.ui.terminal import Terminal
from echowarp.wire.file_cache import CHUNK_BYTES, ID_RULE, Entry, is_id

log = logging.getLogger(__name__)

READ_CHUNKS = 8
SHOW_EVERY_S = 0.1
_NO_NAMES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?|.*\.", re.IGNORECASE)
"""What some systems take for a device, or for another name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of a file at the server; None what is not."""

    id: str
    size: int | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """How fast something went. byte_count: what went over the network."""

    byte_count: int
    seconds: float

    @property
    def megabits(self) -> float:
        """Mbit a second."""
        return 8 * self.byte_count / max(self.seconds, 1e-9) / 1e6

    def __str__(self) -> str:
        return f"{self.byte_count} bytes in {self.seconds:.3f} s, {self.megabits:.1f} Mbit/s"


def run_cache(settings: CacheSettings, terminal: Terminal, show: Callable[[str], None]) -> None:
    """Does what the settings say. show: prints a line on standard output.

    Raises EchoWarpError: MismatchError when a file that came back is another.
    """
    job = settings.job
    for name in (settings.id, settings.download, settings.play):
        if name is not None and not is_id(name):
            raise ConfigError(f"{name!r} is no id: {ID_RULE}")
    if settings.output is not None:
        check_output(settings.output, overwrite=settings.overwrite)
    if settings.input is not None and not os.path.isfile(settings.input):
        raise ConfigError(f"{settings.input}: no such file")
    uri, password, trust = find_server(settings)
    if settings.insecure:
        log.warning("anybody may be the server: its certificate is not looked at")
    with CacheLink(uri, password, trust) as link:
        if job is Job.LIST:
            for line in _listed(link):
                show(line)
        elif job is Job.PLAY:
            # What plays takes time to load.
            from echowarp.app.cache_play import play

            play(settings, link, terminal)
        elif job is Job.DOWNLOAD:
            assert settings.download is not None
            _Courier(settings, link, terminal).download(_known(link, settings.download))
        else:
            _Courier(settings, link, terminal).round_trip(only_up=job is Job.UPLOAD)


def _listed(link: CacheLink) -> list[str]:
    entries = link.entries()
    if entries is None:
        raise RefusedError("this server cannot list what it has")
    wide = max((len(entry.id) for entry in entries), default=0)
    return [
        f"{entry.id:<{wide}}  {entry.size:>12}  {entry.sha256}  "
        + time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry.time_s))
        for entry in entries
    ]


def _known(link: CacheLink, stream_id: str) -> Known:
    entries = link.entries()
    if entries is None:
        log.debug("this server cannot list: size and digest of %s are unknown", stream_id)
        return Known(id=stream_id)
    for entry in entries:
        if entry.id == stream_id:
            return Known(id=stream_id, size=entry.size, sha256=entry.sha256)
    raise RefusedError(f"the server has no {stream_id}: --list shows what it has")


class _Courier:
    """Carries files there and back."""

    def __init__(self, settings: CacheSettings, link: CacheLink, terminal: Terminal) -> None:
        self._settings = settings
        self._link = link
        self._terminal = terminal

    def round_trip(self, *, only_up: bool) -> None:
        """Uploads, and unless only_up downloads again. Raises EchoWarpError."""
        settings = self._settings
        assert settings.input is not None
        stream_id = settings.id or f"stream-{os.urandom(4).hex()}"
        if not only_up and settings.output is None:
            check_output(self._name(stream_id), overwrite=settings.overwrite)
        there = self._find(settings.input) if settings.resume else None
        if there is not None:
            log.info("%s is there already, as %s", settings.input, there.id)
            known, up = Known(id=there.id, size=there.size, sha256=there.sha256), None
        else:
            known, up = self._upload(settings.input, stream_id)
        if only_up:
            return
        down = self.download(known)
        if up is not None and down is not None:
            both = up.byte_count + down.byte_count
            average = Transfer(byte_count=both, seconds=up.seconds + down.seconds)
            log.info(
                "up %.1f Mbit/s, down %.1f Mbit/s, average %.1f Mbit/s",
                up.megabits,
                down.megabits,
                average.megabits,
            )

    def download(self, known: Known) -> Transfer | None:
        """Downloads a file and verifies it as far as that is known. None where all of it
        was there already. Raises EchoWarpError."""
        settings = self._settings
        path = settings.output or self._name(known.id)
        part = PartFile(path, overwrite=settings.overwrite, resume=settings.resume)
        if part.size:
            log.info("going on with %s at %s", part.name, megabytes(part.size))
        try:
            transfer, words = self._fetch(known, part)
            part.keep()
        except MismatchError:
            part.close(discard=True)
            raise
        except BaseException:
            if part.size:
                log.info("what came is in %s: --resume goes on with it", part.name)
            part.close()
            raise
        log.info("downloaded %s to %s: %s", known.id, path, transfer)
        if known.sha256 is not None:
            log.info("verified: SHA-256 %s", known.sha256)
        else:
            log.warning(
                "not verified: this server tells no digest; it ended with %r; SHA-256 %s",
                words,
                part.sha256,
            )
        return transfer if transfer.byte_count or not part.size else None

    def _fetch(self, known: Known, part: PartFile) -> tuple[Transfer, str | None]:
        """Fills the file until it is the right one. Returns how fast that went, and the
        server's last words."""
        if known.size is not None and part.size > known.size:
            part.restart()
        for max_asked in (MAX_ASKED, 1):
            task = Download(known.id, offset=part.size, size=known.size, max_asked=max_asked)
            first = part.size
            begun_s = time.perf_counter()

            def on_turn(
                task: Download = task, begun_s: float = begun_s, first: int = first
            ) -> None:
                part.write(task.pieces())
                self._show("downloading", part.size, known.size, begun_s, first)

            self._progress_due_s = 0.0
            self._link.run(task, on_turn)
            seconds = time.perf_counter() - begun_s
            self._terminal.clear()
            if known.sha256 is None or part.sha256 == known.sha256:
                transfer = Transfer(byte_count=part.size - first, seconds=seconds)
                return transfer, task.end_words
            if max_asked > 1:
                # A server may answer out of turn what was asked ahead; or the part was old.
                log.warning("what came is another file: once more, one piece after the other")
                part.restart()
        raise MismatchError(
            f"what came back of {known.id} has SHA-256 {part.sha256}, not {known.sha256}"
        )

    def _upload(self, path: str, stream_id: str) -> tuple[Known, Transfer]:
        digest = hashlib.sha256()
        task = Upload(stream_id, _chunks(path, digest.update))
        size, begun_s = os.stat(path).st_size, time.perf_counter()
        self._progress_due_s = 0.0
        self._link.run(task, lambda: self._show("uploading", task.sent_bytes, size, begun_s))
        up = Transfer(byte_count=task.sent_bytes, seconds=time.perf_counter() - begun_s)
        self._terminal.clear()
        log.info("uploaded %s as %s: %s", path, stream_id, up)
        return Known(id=stream_id, size=task.sent_bytes, sha256=digest.hexdigest()), up

    def _find(self, path: str) -> Entry | None:
        """The server's own of this file."""
        entries = self._link.entries()
        if entries is None:
            log.info("this server cannot list what it has: uploading all of %s", path)
            return None
        digest = hashlib.sha256()
        for _ in _chunks(path, digest.update):
            pass
        sha256, wanted = digest.hexdigest(), self._settings.id
        same = [e for e in entries if e.sha256 == sha256 and wanted in (None, e.id)]
        return same[0] if same else None

    def _name(self, stream_id: str) -> str:
        """A name for a download: the id, and what the upload's name ended with."""
        name = f"cache-{stream_id}" if _NO_NAMES.fullmatch(stream_id) else stream_id
        extension = PurePath(self._settings.input or "").suffix
        return name if PurePath(name).suffix or extension == EXTENSION else name + extension

    def _show(
        self, what: str, done: int, size: int | None, begun_s: float, skipped: int = 0
    ) -> None:
        now_s = time.perf_counter()
        if not self._terminal.live or now_s < self._progress_due_s:
            return
        self._progress_due_s = now_s + SHOW_EVERY_S
        self._terminal.show(
            render_progress(
                what,
                done - skipped,
                None if size is None else size - skipped,
                now_s - begun_s,
                unicode=self._terminal.unicode,
                columns=self._terminal.columns,
            )
        )


def _chunks(path: str, update: Callable[[bytes], object]) -> Iterator[bytes]:
    """A file's bytes in chunks, each told to a digest. Raises ConfigError."""
    try:
        with open(path, "rb", buffering=0) as file:
            while data := file.read(READ_CHUNKS * CHUNK_BYTES):
                update(data)
                for at in range(0, len(data), CHUNK_BYTES):
                    yield data[at : at + CHUNK_BYTES]
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
