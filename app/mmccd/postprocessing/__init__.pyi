from .components import (
    label_as_listed as label_as_listed,
    measure_components as measure_components,
)
from .confidence import ConfidenceLevels as ConfidenceLevels
from .normal_range import NormalRange as NormalRange, depth_mm as depth_mm
from .score_map import ScoreMap as ScoreMap, make_map as make_map
from .segmentation import segment as segment
from .settings import (
    ERROR as ERROR,
    ROBUST_Z as ROBUST_Z,
    THIN_MM as THIN_MM,
    UNITS as UNITS,
    Postprocessing as Postprocessing,
)
from .smoothing import smooth as smooth
