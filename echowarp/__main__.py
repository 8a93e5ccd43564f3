"""What the command `echowarp` and `python -m echowarp` start."""

import sys


def main() -> int:
    """Loads the program and runs it. Returns its exit status."""
    try:
        from echowarp.main import main as run  # what takes long is within the try
    except KeyboardInterrupt:
        return 0
    return run()


if __name__ == "__main__":
    sys.exit(main())
