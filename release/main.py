"""What an executable runs: the same as the command `cody-oai-router`."""

import sys

from cody_oai_router.cli import main

sys.exit(main())
