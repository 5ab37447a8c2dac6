from .core import (
    MmccdError as MmccdError,
    Result as Result,
    Settings as Settings,
    Volume as Volume,
)
from .io import read_volume as read_volume
from .pipeline import AnomalyPipeline as AnomalyPipeline

NOTICE: str
__version__: str
