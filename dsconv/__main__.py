"""`python -m dsconv`."""

import sys

from dsconv.cli import main

sys.exit(main())
