from .run import (
    QUICK as QUICK,
    load_figures as load_figures,
    run_benchmark as run_benchmark,
    save_figures as save_figures,
)
