"""``python -m meshnet``."""

import sys

from meshnet.cli.main import main

sys.exit(main())
