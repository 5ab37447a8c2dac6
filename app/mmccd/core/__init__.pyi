from .console import (
    LOG_FORMATS as LOG_FORMATS,
    TEXT as TEXT,
    Console as Console,
    LineConsole as LineConsole,
    complain as complain,
    logging_as as logging_as,
    open_console as open_console,
)
from .errors import (
    CancelledError as CancelledError,
    InputError as InputError,
    MmccdError as MmccdError,
    ModelError as ModelError,
    OutputError as OutputError,
    ResourceError as ResourceError,
    UnsuitableInputError as UnsuitableInputError,
    UsageError as UsageError,
    error_class as error_class,
    first_line as first_line,
    worst_exit_code as worst_exit_code,
)
from .files import (
    make_folder as make_folder,
    replacing as replacing,
    write_json as write_json,
    write_text as write_text,
)
from .result import Result as Result
from .score_maps import ScoreMaps as ScoreMaps
from .volume import Volume as Volume
