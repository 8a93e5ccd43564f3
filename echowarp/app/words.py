"""What the codes of the protocol say to the user of a client."""

from __future__ import annotations

from echowarp.media.target import Cause, Reason
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


NUMBERS = ("no", "one", "two", "three", "four")


def target_words(reason: Reason, *, loss: float, rounds: int) -> str:
    """Why the target is what it is. loss: share of packets lost lately, 0..1; rounds:
    how many times a lost packet can be asked for within the target."""
    late = f"packets come up to {reason.worst_ns / 1e6:.0f} ms late"
    count = NUMBERS[rounds] if rounds < len(NUMBERS) else str(rounds)
    resends = f"{count} resend fits" if rounds == 1 else f"{count} resends fit"
    lost = f"{loss:.0%} loss".replace("%", " %")
    return {
        Cause.START: "getting to know the network",
        Cause.FLOOR: "a quiet network",
        Cause.JITTER: late,
        Cause.RESENDS: f"{lost}, {resends}",
        Cause.REPAIR: f"{lost}, repaired",
        Cause.CEILING: f"{late}, and no more delay than this is sensible",
        Cause.FIXED: "as --latency asks",
    }[reason.cause]


def target_line(
    reason: Reason, *, target_ns: int, guard_ns: int, rto_ns: int | None, loss: float
) -> str:
    """The target and why. guard_ns: before a block is asked for; rto_ns: what its answer
    may take, None where unknown; loss: share of packets lost lately, 0..1."""
    rounds = 0 if rto_ns is None else max(0, (target_ns - guard_ns) // rto_ns)
    return f"{target_ns / 1e6:.0f} ms: {target_words(reason, loss=loss, rounds=rounds)}"


def client_words(code: int | None, detail: str) -> str:
    """One line for the end of a connection. detail: for codes without words."""
    known = None if code is None else known_code(code)
    return detail if known is None else CLIENT_WORDS[known]
