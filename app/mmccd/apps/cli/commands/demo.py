"""``mmccd demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from mmccd import core
from mmccd.apps.cli.say import say, say_result
from mmccd.apps.parser import Only
from mmccd.core import Setting, open_console

SHARED = Only("target", "device", "bundles", "force", preset="fast")
Output = Annotated[str, Setting("folder for the phantom (phantom/) and the results", is_path=True)]


def demo(
    settings: Annotated[core.Settings, SHARED],
    output: Output = "mmccd_demo",
) -> None:
    """Make a phantom with six lesions (one bright, one like grey matter on FLAIR, four small) and
    run predict on it.

    Examples:
        mmccd demo
        mmccd demo --output tryout --preset balanced --force
    """
    from mmccd.apps.cli.demo import demo_table
    from mmccd.jobs import predict_file
    from mmccd.outputs import check_output
    from mmccd.phantom import DEMO_LESIONS, DEMO_SCAN, DEMO_SEED, make_phantom, write_phantom
    from mmccd.pipeline import AnomalyPipeline

    folder = Path(output)
    check_output(folder, settings.force)
    # The checks take this phantom for a T1 (docs/checks.md); what it is, is known here.
    pipeline = AnomalyPipeline.from_settings(settings.model_copy(update={"unchecked": True}))
    case = make_phantom(DEMO_SEED, DEMO_LESIONS, DEMO_SCAN)
    flair = write_phantom(case, folder / "phantom", "demo")["flair"]
    with open_console() as console:
        result = predict_file(lambda: pipeline, flair, output, None, settings.force, console)
    say_result(result.report, output)
    say(demo_table(case, result))
