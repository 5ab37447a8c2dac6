"""Who does the work of a command: this process, or workers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmccd.core import Settings
    from mmccd.jobs import Runner


def make_runner(settings: Settings) -> Runner:
    """This process alone, or as many workers as the settings say."""
    from mmccd.jobs import Workers, by_workers, inline

    workers = Workers.of(settings)
    return inline(make_pipeline) if workers.is_one else by_workers(workers)


def make_pipeline(settings: Settings) -> Any:
    """The pipeline of the settings, with their threads."""
    from mmccd.pipeline import AnomalyPipeline

    if settings.threads is not None:
        import torch

        torch.set_num_threads(settings.threads)
    return AnomalyPipeline.from_settings(settings)
