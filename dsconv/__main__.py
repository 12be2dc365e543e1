"""`python -m dsconv`."""

import sys

from dsconv.shell.main import main

sys.exit(main())
