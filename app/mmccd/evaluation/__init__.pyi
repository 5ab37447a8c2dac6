from .calibrate import calibrate_on_cases as calibrate_on_cases
from .candidates import (
    Setup as Setup,
    expand_grid as expand_grid,
    make_candidates as make_candidates,
    read_name as read_name,
    resolve_target as resolve_target,
)
from .grid import BOOKTABS as BOOKTABS, Grid as Grid
from .metrics import auprc as auprc, best_dice as best_dice, dice as dice
from .protocols import make_protocol as make_protocol
from .run import EvaluationPlan as EvaluationPlan, evaluate as evaluate
from .sets.ahead import make_maps as make_maps, map_jobs as map_jobs
from .sets.find import (
    DataSet as DataSet,
    find_sets as find_sets,
    find_validation as find_validation,
)
from .sets.plan import SetsPlan as SetsPlan, default_set_methods as default_set_methods
from .sets.run import evaluate_sets as evaluate_sets
from .variants import Variant as Variant, read_variant as read_variant
