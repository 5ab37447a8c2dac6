"""Find the brain: given mask, already stripped, or extraction by a network of our own (or by
HD-BET).
"""

from mmccd.brain.extract import Extraction
from mmccd.brain.find import EXTRACTED, GIVEN, STRIPPED, Brain, Extractor, fill_slices, find_brain

__all__ = [
    "EXTRACTED",
    "GIVEN",
    "STRIPPED",
    "Brain",
    "Extraction",
    "Extractor",
    "fill_slices",
    "find_brain",
]
