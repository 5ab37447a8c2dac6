from .machine import peak_memory_gib as peak_memory_gib
from .report import (
    as_markdown as as_markdown,
    as_text as as_text,
    compare as compare,
    plot_sweep as plot_sweep,
)
from .run import (
    QUICK as QUICK,
    load_figures as load_figures,
    run_benchmark as run_benchmark,
    save_figures as save_figures,
)
