"""`python -m echowarp` is the same as the command `echowarp`."""

import sys

from echowarp.main import main

if __name__ == "__main__":
    sys.exit(main())
