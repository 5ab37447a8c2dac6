from .background import zero_point as zero_point
from .extract import (
    Extraction as Extraction,
    extract_brain as extract_brain,
    find_lower as find_lower,
)
from .extractors import (
    EXTRACTORS as EXTRACTORS,
    OWN as OWN,
    ExtractorEntry as ExtractorEntry,
    ExtractorModule as ExtractorModule,
    extractor_names as extractor_names,
    find_extractor as find_extractor,
)
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
from .network import BrainUNet as BrainUNet
from .slices import LARGEST as LARGEST, intensity_scale as intensity_scale
