from .contrast import CONTRAST as CONTRAST, begin_templates as begin_templates
from .features import (
    QUALITY as QUALITY,
    REFERENCE as REFERENCE,
    BrainSlices as BrainSlices,
    measure as measure,
    width_to_length as width_to_length,
)
from .intake import Intake as Intake, Prepared as Prepared
from .returned import (
    ReturnedStatistics as ReturnedStatistics,
    check_returned as check_returned,
    measure_returned as measure_returned,
)
from .rules import (
    FACES as FACES,
    STATISTICS as STATISTICS,
    InputStatistics as InputStatistics,
    face_shares as face_shares,
)
