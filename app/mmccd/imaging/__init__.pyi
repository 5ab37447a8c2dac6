from .bias import correct_bias as correct_bias
from .draws import Draws as Draws, blur as blur, pixel_grid as pixel_grid
from .grid import (
    MODEL_ORIENTATION as MODEL_ORIENTATION,
    Grid as Grid,
    GridTransform as GridTransform,
    resampling_weights as resampling_weights,
)
from .normalisation import Normalisation as Normalisation, brain_values as brain_values
from .robust import (
    MIN_SLICE_PIXELS as MIN_SLICE_PIXELS,
    ONE_SIDED as ONE_SIDED,
    Floats as Floats,
    Sides as Sides,
    error_robust_z as error_robust_z,
    robust_z as robust_z,
)
from .slices import ModelSlices as ModelSlices, to_model_slices as to_model_slices
from .templates import mni_tissues as mni_tissues
