from .calibrate import calibrate_on_cases as calibrate_on_cases
from .candidates import (
    Setup as Setup,
    expand_grid as expand_grid,
    make_candidates as make_candidates,
    resolve_target as resolve_target,
)
from .metrics import auprc as auprc, best_dice as best_dice, dice as dice
from .protocols import make_protocol as make_protocol
from .run import EvaluationPlan as EvaluationPlan, evaluate as evaluate
from .variants import Variant as Variant, read_variant as read_variant
