"""Whether the loop is that of Windows, which differs in what it says of reads and writes."""

import sys
from typing import Final

PROACTOR: Final = sys.platform == "win32"
"""It reads into memory of its own, as much as there is, and writes as a whole."""
