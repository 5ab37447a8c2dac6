from .baselines import (
    DiffusionScorer as DiffusionScorer,
    HistogramScorer as HistogramScorer,
    IntensityScorer as IntensityScorer,
    PartialDiffusionInferer as PartialDiffusionInferer,
    ReconstructionScorer as ReconstructionScorer,
    TranslationCycleScorer as TranslationCycleScorer,
)
from .mmccd.cycle import (
    CycleSettings as CycleSettings,
    MaskedCycleInferer as MaskedCycleInferer,
    Progress as Progress,
)
from .mmccd.masks import (
    random_strip_masks as random_strip_masks,
    strip_masks as strip_masks,
    width_range as width_range,
)
from .mmccd.suspicion import suspicious_region as suspicious_region
from .scorer import CycleScorer as CycleScorer, ParallelScorer as ParallelScorer, Scorer as Scorer
