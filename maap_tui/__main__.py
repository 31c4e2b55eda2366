"""`python -m maap_tui` is `maap`."""

import sys

from maap_tui.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
