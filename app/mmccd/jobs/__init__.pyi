from .account import Account as Account, now as now
from .batch import predict_folder as predict_folder
from .bids import (
    LEVELS as LEVELS,
    PARTICIPANT as PARTICIPANT,
    BidsDataset as BidsDataset,
    run_bids as run_bids,
    write_group as write_group,
)
from .choices import SeriesChoice as SeriesChoice, series_to_choose as series_to_choose
from .cohort import (
    NAME as NAME,
    TABLE as TABLE,
    cohort_content as cohort_content,
    run_cohort as run_cohort,
    summary as summary,
)
from .doors import in_variables as in_variables
from .find import find_inputs as find_inputs, find_studies as find_studies
from .inputs import DICOM as DICOM, NIFTI as NIFTI, Input as Input
from .logs import (
    kept_logging as kept_logging,
    log_change as log_change,
    log_to_stderr as log_to_stderr,
)
from .maps import make_maps_ahead as make_maps_ahead
from .outcome import Outcome as Outcome, explain as explain, is_out_of_memory as is_out_of_memory
from .redaction import Redactor as Redactor
from .run import (
    Runner as Runner,
    make_output_folder as make_output_folder,
    run_tasks as run_tasks,
)
from .run_task import (
    STEPS as STEPS,
    Work as Work,
    predict_file as predict_file,
    run_task as run_task,
)
from .runners.cluster import ALONE as ALONE, Workers as Workers
from .runners.dask import by_workers as by_workers
from .runners.inline import inline as inline
from .runners.supervised import Limits as Limits, Supervised as Supervised, Worker as Worker
from .selection import select_series as select_series
from .states import (
    INTERRUPTED as INTERRUPTED,
    Stage as Stage,
    State as State,
    state_of_run as state_of_run,
)
from .status import (
    HEARTBEAT_S as HEARTBEAT_S,
    STATUS as STATUS,
    STATUS_VERSION as STATUS_VERSION,
    StatusFile as StatusFile,
    replace_status as replace_status,
)
from .studies import study_name as study_name
from .task import Task as Task
from .view import UNPACKED as UNPACKED
