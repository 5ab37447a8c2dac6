from .baselines import (
    AutoEncoderNetwork as AutoEncoderNetwork,
    DenoisingUNet as DenoisingUNet,
    MaskedTranslator as MaskedTranslator,
    VariationalNetwork as VariationalNetwork,
)
from .device import (
    ALL_CUDA as ALL_CUDA,
    PRECISIONS as PRECISIONS,
    AutocastInferer as AutocastInferer,
    autocast as autocast,
    choose_device as choose_device,
    choose_devices as choose_devices,
    choose_precision as choose_precision,
    describe_devices as describe_devices,
    has_fast_bf16 as has_fast_bf16,
    usable_cores as usable_cores,
)
from .inference import to_device as to_device
from .loading import StrictModule as StrictModule
from .networks import TranslationUNet as TranslationUNet
from .noise import (
    ANCESTRAL as ANCESTRAL,
    CONDITION as CONDITION,
    FIRST_DRAW as FIRST_DRAW,
    INITIAL as INITIAL,
    NO_MASK as NO_MASK,
    normal_noise as normal_noise,
)
from .sampler import reverse as reverse
from .schedule import (
    MaskedDiffusionScheduler as MaskedDiffusionScheduler,
    masked_condition as masked_condition,
)
