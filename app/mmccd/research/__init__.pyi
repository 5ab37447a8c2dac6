from .check import Checked as Checked, check_study as check_study
from .cost import Estimate as Estimate, estimate as estimate
from .plan import Study as Study, read_study as read_study
from .run import Run as Run, open_run as open_run
