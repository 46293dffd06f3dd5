"""`python -m cody_oai_router`."""

import sys

from cody_oai_router.cli import main

if __name__ == "__main__":
    sys.exit(main())
