"""Shows the keys that are pressed on a terminal, until `q`, an error for `x`, or a signal.

python -m tests.ui.keyboard
"""

from __future__ import annotations

import time

from echowarp.ui.keys import open_keys


def main() -> None:
    keys = open_keys(stdin_is_taken=False)
    print("ready", flush=True)
    pressed = ""
    try:
        while "q" not in pressed:
            pressed = keys.pressed()
            if pressed:
                print(f"<{pressed!r}>", flush=True)
            if "x" in pressed:
                raise RuntimeError("x was pressed")
            time.sleep(0.01)
    finally:
        keys.close()
        print("closed", flush=True)


if __name__ == "__main__":
    main()
