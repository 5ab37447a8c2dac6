from .components import measure_components as measure_components
from .normal_range import NormalRange as NormalRange, depth_mm as depth_mm
from .postprocessing import Postprocessing as Postprocessing, erode_slices as erode_slices
