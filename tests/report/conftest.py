"""Tests of the report share a small run."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
