"""Where the checkout is, and the real data beside it."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
RECORDED = ROOT / "tests" / "recorded"
"""expected values of other programs, and what recorded them"""
