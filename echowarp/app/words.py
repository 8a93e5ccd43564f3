"""What the codes of the protocol say to the user of a client."""

from __future__ import annotations

from echowarp.wire.codes import Code, known_code

CLIENT_WORDS = {
    Code.FINISHED: "the stream is finished",
    Code.INVALID: "the server did not understand us: are both sides EchoWarp of one version?",
    Code.WRONG_PASSWORD: "wrong password: give the server's with --password or ECHOWARP_PASSWORD",
    Code.BANNED: (
        "this address is banned after too many wrong passwords: ask the server's "
        "owner to remove it from the ban list"
    ),
    Code.TIMEOUT: "the connection fell silent",
    Code.VERSION: "the server speaks another version of the protocol: update the older side",
    Code.CLOSING: "the server is closing",
    Code.DISPLACED: "this session was taken over by another one of the same client",
    Code.TOO_MANY: "the server is busy with other password attempts",
    Code.FULL: "the server is full: ask its owner to raise --max_clients, or try again later",
}
FALSE_SERVER = (
    "five connections were lost just after our proof of the password: this may be a "
    "false server that guesses; check the address"
)


def listeners(count: int) -> str:
    """So many listeners, in words."""
    return "1 listener" if count == 1 else f"{count} listeners"


def client_words(code: int | None, detail: str) -> str:
    """One line for the end of a connection. detail: for codes without words."""
    known = None if code is None else known_code(code)
    return detail if known is None else CLIENT_WORDS[known]
