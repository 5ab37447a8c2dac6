"""Phantoms: brain anatomies to FLAIR, T1w and T2w by the signal equations, healthy or with
lesions.
"""

from mmccd.phantom.acquisition import PLAIN, Acquisition, random_acquisition
from mmccd.phantom.anatomy import BUILT_IN, Anatomy, find_anatomies, load_anatomy
from mmccd.phantom.lesions import DEMO_LESIONS, DEMO_SEED, KINDS, Lesion
from mmccd.phantom.subject import Phantom, make_phantom
from mmccd.phantom.write import write_phantom, write_phantoms

__all__ = [
    "BUILT_IN",
    "DEMO_LESIONS",
    "DEMO_SEED",
    "KINDS",
    "PLAIN",
    "Acquisition",
    "Anatomy",
    "Lesion",
    "Phantom",
    "find_anatomies",
    "load_anatomy",
    "make_phantom",
    "random_acquisition",
    "write_phantom",
    "write_phantoms",
]
