from .codes import all_codes as all_codes
from .console import (
    Console as Console,
    LineConsole as LineConsole,
    complain as complain,
    logging_as as logging_as,
    open_console as open_console,
)
from .declaration import (
    FLAG as FLAG,
    PREFIX as PREFIX,
    VARIABLE as VARIABLE,
    Setting as Setting,
    flag_of as flag_of,
    variable_of as variable_of,
)
from .errors import (
    SEVERITY as SEVERITY,
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
    entries_of as entries_of,
    is_broken_link as is_broken_link,
    make_folder as make_folder,
    replacing as replacing,
    shown_name as shown_name,
    synced as synced,
    write_json as write_json,
    write_text as write_text,
    writing as writing,
)
from .findings import Finding as Finding
from .locks import lock_folder as lock_folder
from .logs import LOG_FORMATS as LOG_FORMATS, TEXT as TEXT, LogFormatter as LogFormatter
from .operating_points import (
    BALANCED as BALANCED,
    OPERATING_POINTS as OPERATING_POINTS,
    RATES as RATES,
    SENSITIVE as SENSITIVE,
    SPECIFIC as SPECIFIC,
    Confidence as Confidence,
    OperatingPoint as OperatingPoint,
    PointName as PointName,
    Statistic as Statistic,
    as_percent as as_percent,
)
from .output_choice import (
    ONLY_DICOM as ONLY_DICOM,
    PDF as PDF,
    PICTURES as PICTURES,
    REPORT as REPORT,
    SEGMENTATION as SEGMENTATION,
    USUAL_CHOICE as USUAL_CHOICE,
    OutputChoice as OutputChoice,
)
from .phases import (
    PHASES as PHASES,
    PhaseClock as PhaseClock,
    phase_table as phase_table,
)
from .report import (
    REPORT_VERSION as REPORT_VERSION,
    Component as Component,
    DicomObject as DicomObject,
    EarlierReport as EarlierReport,
    Report as Report,
    ReportInput as ReportInput,
    ReturnedImage as ReturnedImage,
    WeightsEntry as WeightsEntry,
    report_schema as report_schema,
)
from .report_parts import ReportParts as ReportParts, build_report as build_report
from .result import Result as Result
from .score_maps import ScoreMaps as ScoreMaps
from .settings import (
    Declared as Declared,
    Settings as Settings,
    SettingsModel as SettingsModel,
    as_flag as as_flag,
    unknown_setting as unknown_setting,
)
from .statuses import SKIPPED as SKIPPED, STATUSES as STATUSES, UNFINISHED as UNFINISHED
from .volume import Volume as Volume
