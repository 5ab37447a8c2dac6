from .calibrate import calibrate_on_cases as calibrate_on_cases
from .methods import (
    TITLES as TITLES,
    Setup as Setup,
    expand_grid as expand_grid,
    make_methods as make_methods,
    resolve_target as resolve_target,
)
from .metrics import auprc as auprc, best_dice as best_dice, dice as dice
from .protocols import make_protocol as make_protocol
from .run import Plan as Plan, evaluate as evaluate
from .variants import Variant as Variant, read_variant as read_variant
