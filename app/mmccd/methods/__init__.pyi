from .base import (
    BRIGHT as BRIGHT,
    DARK as DARK,
    Cancelled as Cancelled,
    Chosen as Chosen,
    Context as Context,
    Method as Method,
    Need as Need,
    Progress as Progress,
    Scorer as Scorer,
    Slices as Slices,
    TrainedWeights as TrainedWeights,
    either_side as either_side,
    needs_target as needs_target,
    shipped as shipped,
    trained as trained,
    translator as translator,
)
from .ddpm import PartialDiffusionInferer as PartialDiffusionInferer
from .mmccd.combination import Combination as Combination
from .mmccd.cycle import MaskedCycleInferer as MaskedCycleInferer
from .mmccd.decided import (
    DecidedScorer as DecidedScorer,
    on_several_devices as on_several_devices,
)
from .mmccd.decision import (
    DECISION_CHANNELS as DECISION_CHANNELS,
    MIDDLE as MIDDLE,
    decide as decide,
    decision_input as decision_input,
    middle as middle,
)
from .mmccd.level import levelled as levelled
from .mmccd.masks import (
    random_strip_masks as random_strip_masks,
    strip_masks as strip_masks,
    width_range as width_range,
)
from .mmccd.method import CycleScorer as CycleScorer, MaskedCycle as MaskedCycle
from .mmccd.parallel import ParallelScorer as ParallelScorer
from .mmccd.settings import CycleSettings as CycleSettings
from .mmccd.suspicion import suspicious_region as suspicious_region
from .reconstruction import Reconstruction as Reconstruction
from .registry import (
    find_method as find_method,
    method_names as method_names,
    register_method as register_method,
)
from .rule import RULE_THRESHOLD as RULE_THRESHOLD, RuleScorer as RuleScorer
from .scoring import error_within as error_within, score_within as score_within
