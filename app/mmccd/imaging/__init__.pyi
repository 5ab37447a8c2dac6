from .bias import correct_bias as correct_bias
from .grid import (
    MODEL_ORIENTATION as MODEL_ORIENTATION,
    Grid as Grid,
    GridTransform as GridTransform,
    resampling_weights as resampling_weights,
)
from .normalisation import Normalisation as Normalisation, brain_values as brain_values
from .robust import (
    MIN_SLICE_PIXELS as MIN_SLICE_PIXELS,
    Floats as Floats,
    error_in_slice_sd as error_in_slice_sd,
    in_slice_sd as in_slice_sd,
    side_weights as side_weights,
)
from .slices import ModelSlices as ModelSlices, to_model_slices as to_model_slices
from .templates import mni_tissues as mni_tissues
