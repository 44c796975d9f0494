"""Makes the package of the comparison importable, behind everything else: it is no part of what is installed."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent.parent / "benchmarks"))
