from .extract import Extraction as Extraction, extract_brain as extract_brain
from .find import (
    EXTRACTED as EXTRACTED,
    GIVEN as GIVEN,
    STRIPPED as STRIPPED,
    Brain as Brain,
    Extractor as Extractor,
    fill_slices as fill_slices,
    find_brain as find_brain,
)
from .folder import extract_files as extract_files
from .hd_bet import check_installed as check_installed, extract_with_hd_bet as extract_with_hd_bet
from .names import extractor_names as extractor_names
from .network import BrainUNet as BrainUNet
from .slices import LARGEST as LARGEST, intensity_scale as intensity_scale
