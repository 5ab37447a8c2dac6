from .account import NAME as NAME, TABLE as TABLE, Account as Account
from .batch import predict_folder as predict_folder
from .case import predict_file as predict_file
from .inputs import Source as Source, find_sources as find_sources
from .run import (
    Run as Run,
    failures as failures,
    in_this_process as in_this_process,
    run_cohort as run_cohort,
)
from .workers import Workers as Workers, by_workers as by_workers
