from .baselines import (
    CoarseNoisePrepareBatch as CoarseNoisePrepareBatch,
    CoarseNoiseValidationBatch as CoarseNoiseValidationBatch,
    ReconstructionPrepareBatch as ReconstructionPrepareBatch,
    ReconstructionValidationBatch as ReconstructionValidationBatch,
    VariationalLoss as VariationalLoss,
)
from .batches import (
    CorruptedDiffusionPrepareBatch as CorruptedDiffusionPrepareBatch,
    CorruptedValidationBatch as CorruptedValidationBatch,
    MaskedDiffusionPrepareBatch as MaskedDiffusionPrepareBatch,
    PairPrepareBatch as PairPrepareBatch,
    StripPrepareBatch as StripPrepareBatch,
)
from .brain.objective import (
    BrainLoss as BrainLoss,
    ScanPrepareBatch as ScanPrepareBatch,
    brain_disagreement as brain_disagreement,
    lower_disagreement as lower_disagreement,
)
from .brain.synthesis import SyntheticSlices as SyntheticSlices
from .checkpoints import BestModel as BestModel, Resume as Resume
from .decision.batches import DecisionPrepareBatch as DecisionPrepareBatch
from .decision.inferer import DecisionInferer as DecisionInferer
from .decision.load import load_cycle as load_cycle, preset_cycle as preset_cycle
from .decision.objective import (
    DecisionLoss as DecisionLoss,
    decision_error as decision_error,
)
from .decision.returned import OneStepCycle as OneStepCycle
from .errors import (
    MeanError as MeanError,
    brain_error as brain_error,
    cycle_error as cycle_error,
    masked_error as masked_error,
    visible_error as visible_error,
)
from .facts import flat_differences as flat_differences
from .handlers import (
    AveragedModel as AveragedModel,
    EpochSeed as EpochSeed,
    ProgressBar as ProgressBar,
    TimeBudget as TimeBudget,
)
from .inferers import MaskedTranslationInferer as MaskedTranslationInferer
from .learning_rate import warmup_stable_decay as warmup_stable_decay
from .record import TrainingRecord as TrainingRecord
from .shared import run_handlers as run_handlers, small_network as small_network
from .tracking.sinks import TRACKING as TRACKING, tracking_packages as tracking_packages
from .tracking.tracker import Tracker as Tracker
from .translate import (
    BatchedInferer as BatchedInferer,
    VisibleTranslationInferer as VisibleTranslationInferer,
    VolumeSlicesDataset as VolumeSlicesDataset,
    WriteTranslation as WriteTranslation,
    find_weights as find_weights,
)
