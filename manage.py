#!/usr/bin/env python
"""The same commands as the console script `autossl-panel`, from a checkout."""

import sys

from autossl_panel.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
