"""Who does the work of a command: this process, or workers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmccd.core import Settings
    from mmccd.jobs import Runner


def make_runner(settings: Settings) -> Runner:
    """This process alone, or as many workers as the settings say."""
    if settings.workers == 1 and settings.scheduler is None:
        from mmccd.jobs import inline

        return inline(make_pipeline)
    from mmccd.jobs import Workers, by_workers

    return by_workers(Workers(settings.workers, settings.scheduler, settings.threads))


def make_pipeline(settings: Settings) -> Any:
    """The pipeline of the settings, with their threads."""
    from mmccd.pipeline import AnomalyPipeline

    if settings.threads is not None:
        import torch

        torch.set_num_threads(settings.threads)
    return AnomalyPipeline.from_settings(settings)
