from .calibration import (
    Calibration as Calibration,
    describe as describe,
    replace_calibration as replace_calibration,
    threshold_for_rate as threshold_for_rate,
)
from .export import (
    export_weights as export_weights,
)
from .find import (
    BACKWARD as BACKWARD,
    FORWARD as FORWARD,
    find_bundles as find_bundles,
    find_part as find_part,
)
from .models import (
    FALLBACK_TARGETS as FALLBACK_TARGETS,
    SOURCE as SOURCE,
    BundlePair as BundlePair,
    load_pair as load_pair,
)
from .presets import (
    Preset as Preset,
    read_cycle_config as read_cycle_config,
    write_calibrations as write_calibrations,
)
from .runs import Loadable as Loadable, find_run as find_run, find_translator as find_translator
from .trained import load_trained as load_trained
from .weights import (
    Weights as Weights,
    list_weights as list_weights,
    load_brain_weights as load_brain_weights,
)
