"""Bytes of a WebSocket to its messages: frames are unmasked, and fragments put together.

Source: RFC 6455, sections 5 and 8.1.
"""

from __future__ import annotations

import codecs

from echowarp.wire.websocket_frames import (
    MASK_BYTES,
    Buffer,
    CloseCode,
    FrameError,
    FrameHead,
    Opcode,
    apply_mask,
    parse_head,
)


class MessageReader:
    """What has come and is not yet understood.

    masked: whether frames must be; max_message_bytes: a longer message is an error.
    """

    def __init__(self, *, masked: bool, max_message_bytes: int) -> None:
        self._masked = masked
        self._max_message_bytes = max_message_bytes
        self._buffer = bytearray()
        self._at = 0
        self._head: FrameHead | None = None
        self._opcode: Opcode | None = None
        self._message = bytearray()
        self._drops = False
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def receive(self, data: Buffer) -> None:
        """Takes what TCP brought."""
        self._buffer += data

    def next_message(self) -> tuple[Opcode, bytes] | None:
        """The next whole message, TEXT or BINARY, or control frame; None while there is none.

        Raises FrameError as soon as the bytes that have come are wrong.
        """
        while (payload := self._next_payload()) is not None:
            opcode, data, last = payload
            if opcode < Opcode.CLOSE:
                self._opcode = None if last else opcode
                if opcode is Opcode.TEXT:
                    self._check_text(data, last=last)
                if self._drops:
                    continue
                if not last:
                    self._message += data
                    continue
                if self._message:
                    data = bytes(self._message + data)
                    self._message = bytearray()
            return opcode, data
        del self._buffer[: self._at]
        self._at = 0
        return None

    def drop_messages(self) -> None:
        """From now on only control frames are wanted."""
        self._drops = True
        self._message = bytearray()

    def clear(self) -> None:
        """Nothing is wanted any more."""
        self.drop_messages()
        self._buffer.clear()
        self._at = 0

    def _next_payload(self) -> tuple[Opcode, bytes, bool] | None:
        """What comes next of a message or is a control frame, and whether it is the last of
        that. None while a frame is not whole."""
        head, buffer = self._head, self._buffer
        if head is None:
            head = parse_head(buffer, self._at, masked=self._masked)
            if head is None:
                return None
            self._at += head.head_bytes
            self._check(head)
        is_control = head.opcode >= Opcode.CLOSE
        opcode = head.opcode if self._opcode is None or is_control else self._opcode
        ready = min(head.payload_bytes, len(buffer) - self._at)
        whole = ready == head.payload_bytes
        # Text is read as it comes, so that what is no UTF-8 is told at once.
        if not whole and not (ready and opcode is Opcode.TEXT):
            self._head = head
            return None
        payload = buffer[self._at : self._at + ready]
        if head.mask:
            apply_mask(payload, head.mask)
        self._at += ready
        self._head = None if whole else _rest(head, ready)
        return opcode, bytes(payload), whole and head.final

    def _check(self, head: FrameHead) -> None:
        if head.opcode >= Opcode.CLOSE:
            return
        if (head.opcode is Opcode.CONTINUATION) is (self._opcode is None):
            raise FrameError("a fragment out of turn")
        if len(self._message) + head.payload_bytes > self._max_message_bytes:
            text = f"a message of more than {self._max_message_bytes} bytes"
            raise FrameError(text, CloseCode.TOO_BIG)

    def _check_text(self, payload: bytes, *, last: bool) -> None:
        try:
            self._decoder.decode(payload, last)
        except UnicodeDecodeError:
            raise FrameError("a text that is not UTF-8", CloseCode.INVALID_TEXT) from None


def _rest(head: FrameHead, taken: int) -> FrameHead:
    """What is still to come of a frame, as if it had been sent in fragments."""
    turn = taken % MASK_BYTES
    mask = head.mask[turn:] + head.mask[:turn]
    left = head.payload_bytes - taken
    return FrameHead(head.final, Opcode.CONTINUATION, left, mask, head.head_bytes)
