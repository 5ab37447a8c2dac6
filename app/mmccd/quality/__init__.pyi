from .features import (
    CONTRAST as CONTRAST,
    QUALITY as QUALITY,
    BrainSlices as BrainSlices,
    measure as measure,
    width_to_length as width_to_length,
)
from .intake import Intake as Intake, Prepared as Prepared
from .rules import (
    FACES as FACES,
    STATISTICS as STATISTICS,
    InputStatistics as InputStatistics,
    face_shares as face_shares,
)
