"""Lets a sound card go, waits for it, and opens it again."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Generic, TypeVar

from echowarp.device.card import CardSink, CardSource
from echowarp.device.seams import Reason, Watch
from echowarp.device.stream import gone
from echowarp.errors import DeviceError

_log = logging.getLogger(__name__)

_RETRY_S = 1.0
"""Between two attempts to open the device again."""

_LOOK_S = 0.25
"""How often the watch is asked. A sound server that hands out another microphone in place of
one that has gone is heard for so long."""

_STOP_S = 1.0
"""How long stop() waits for an attempt: one before a sound server that hangs is left."""

Card = TypeVar("Card", CardSource, CardSink)


class Presence:
    """Whether a device is there, for those who show it. Any thread may look."""

    def __init__(self) -> None:
        self.is_away = False


class Standing(ABC, Generic[Card]):
    """What a source and a sink have in common: the thread that minds their card.

    `_lock` is held while sound is handed over, so there is one giver or taker at any
    time: whoever is not `_card` any more, or not `_filler`, comes too late.
    """

    def __init__(self, presence: Presence, make_watch: Callable[[], Watch | None]) -> None:
        self._presence = presence
        self._make_watch = make_watch
        self._watch: Watch | None = None
        self._lock = threading.Lock()
        self._card: Card | None = None
        self._filler: threading.Thread | None = None
        self._trouble: Reason | None = None
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="audio device", daemon=True)

    @abstractmethod
    def _open(self) -> Card:
        """The card, opened. Raises DeviceError."""

    @abstractmethod
    def _start(self, card: Card) -> None:
        """Starts an open card. Raises DeviceError."""

    @abstractmethod
    def _fill(self) -> None:
        """Stands in for the card, on a thread of its own, as long as that is `_filler`."""

    @abstractmethod
    def _report(self, error: BaseException | None) -> None:
        """Tells the owner of an error that is no device's."""

    @property
    @abstractmethod
    def _name(self) -> str:
        """What the device is called."""

    def stop(self) -> None:
        """Ends it all and closes the device, or leaves an attempt to open it behind where
        that hangs. Idempotent."""
        self._stopping.set()
        self._wake.set()
        if self._watch is not None:
            self._watch.close()
        with self._lock:
            self._filler = None
        self._close_card()
        if self._keeper.is_alive() and self._keeper is not threading.current_thread():
            self._keeper.join(_STOP_S)
        self._presence.is_away = False

    def _begin(self) -> None:
        if self._card is not None:
            self._start(self._card)
        self._keeper.start()

    def _lose(self, error: BaseException | None) -> None:
        """The card's watchdog has found it dead, or its callback has failed."""
        if isinstance(error, DeviceError):
            self._trouble = Reason(str(error), is_move=False)
            self._wake.set()
        else:
            self._report(error)

    def _has_joined(self) -> None:
        """The card goes on where the filler was. Called with the lock."""
        self._filler = None
        self._wake.set()

    @property
    def _is_filling(self) -> bool:
        return self._filler is threading.current_thread()

    def _close_card(self) -> None:
        with self._lock:
            card, self._card = self._card, None
        if card is not None:
            card.stop()

    def _keep(self) -> None:
        try:
            self._watch = self._make_watch()
            if self._watch is not None:
                self._watch.opened()
            while not self._stopping.is_set():
                if self._trouble is None:
                    self._wake.wait(None if self._watch is None else _LOOK_S)
                self._wake.clear()
                reason = self._trouble
                if reason is None and self._watch is not None:
                    reason = self._watch.look()
                if reason is not None and not self._stopping.is_set():
                    self._be_away(reason)
        except BaseException as error:  # the top of a thread
            self._report(error)
        finally:
            if self._watch is not None:
                self._watch.close()

    def _be_away(self, reason: Reason) -> None:
        filler = threading.Thread(target=self._filled, name="audio device away", daemon=True)
        with self._lock:
            if self._stopping.is_set():
                return
            card, self._card, self._filler = self._card, None, filler
            filler.start()
        self._presence.is_away = True
        if reason.is_move:
            _log.info("%s", reason.text)
        else:
            _log.warning("%s; waiting for it", reason.text or gone(self._name))
        if card is not None:
            card.stop()
        self._wait_for_card(reason)
        filler.join()

    def _filled(self) -> None:
        try:
            self._fill()
        except BaseException as error:  # the top of a thread
            self._report(error)

    def _wait_for_card(self, reason: Reason) -> None:
        said = not reason.is_move
        wait_s = 0.0 if reason.is_move else _RETRY_S
        while not self._stopping.wait(wait_s):
            wait_s = _RETRY_S
            try:
                self._open_again()
            except DeviceError as error:
                _log.debug("the device is not back: %s", error)
                self._close_card()
                if not said:
                    said = True
                    _log.warning("%s; waiting for it", error)
                continue
            if not self._stopping.is_set():
                self._presence.is_away = False
                _log.info("device %s is back" if said else "going on with device %s", self._name)
            return

    def _open_again(self) -> None:
        """Returns when the card has joined, or all is to end. Raises DeviceError."""
        card = self._open()
        with self._lock:
            self._card = card
        if self._stopping.is_set():
            self._close_card()
            return
        self._trouble = None
        self._wake.clear()
        self._start(card)
        if self._watch is not None:
            self._watch.opened()
        while self._filler is not None and self._trouble is None and not self._stopping.is_set():
            self._wake.wait()
            self._wake.clear()
        if self._filler is not None and self._trouble is not None:
            raise DeviceError(self._trouble.text or gone(self._name))
