from .appearance import (
    CONTRAST as CONTRAST,
    QUALITY as QUALITY,
    BrainSlices as BrainSlices,
    measure as measure,
    width_to_length as width_to_length,
)
from .checks import FACES as FACES, face_shares as face_shares
from .intake import HD_BET as HD_BET, OWN as OWN, Intake as Intake, Prepared as Prepared
