"""Phantoms: brain anatomies to FLAIR, T1w and T2w by the signal equations, healthy or with lesions."""

from mmccd.data.phantom.acquisition import PLAIN, Acquisition, random_acquisition
from mmccd.data.phantom.anatomy import BUILT_IN, Anatomy, find_anatomies, load_anatomy
from mmccd.data.phantom.lesions import DEMO_LESIONS, DEMO_SEED, KINDS, Lesion
from mmccd.data.phantom.subject import Phantom, make_phantom
from mmccd.data.phantom.write import write_phantom, write_phantoms

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
