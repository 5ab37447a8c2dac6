from .bundle import (
    BACKWARD as BACKWARD,
    FALLBACK_TARGETS as FALLBACK_TARGETS,
    FORWARD as FORWARD,
    SOURCE as SOURCE,
    BundlePair as BundlePair,
    Preset as Preset,
    Weights as Weights,
    export_weights as export_weights,
    find_bundles as find_bundles,
    find_part as find_part,
    list_weights as list_weights,
    load_brain_weights as load_brain_weights,
    load_pair as load_pair,
    read_cycle_config as read_cycle_config,
    write_calibrations as write_calibrations,
)
from .calibration import (
    Calibration as Calibration,
    describe as describe,
    replace_calibration as replace_calibration,
    threshold_for_rate as threshold_for_rate,
)
from .presets import preset_names as preset_names
from .runs import Loadable as Loadable, find_run as find_run, find_translator as find_translator
from .trained import load_trained as load_trained
