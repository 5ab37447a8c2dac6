from .calibration import (
    ALGORITHM as ALGORITHM,
    Calibration as Calibration,
    describe as describe,
)
from .calibrations import (
    store_calibration as store_calibration,
    user_folder as user_folder,
)
from .copy import copy_bundles as copy_bundles
from .export import (
    export_weights as export_weights,
    write_weights as write_weights,
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
    ModelSet as ModelSet,
    load_models as load_models,
)
from .operating_points import (
    FEWEST_CASES as FEWEST_CASES,
    HealthyCase as HealthyCase,
    choose_points as choose_points,
    rates_around as rates_around,
    threshold_for_rate as threshold_for_rate,
)
from .presets import (
    Preset as Preset,
    preset_names as preset_names,
    read_preset as read_preset,
    read_presets as read_presets,
)
from .runs import (
    find_run as find_run,
    find_translator as find_translator,
)
from .trained import (
    load_trained as load_trained,
)
from .weights import (
    Weights as Weights,
    list_weights as list_weights,
    load_brain_weights as load_brain_weights,
)
