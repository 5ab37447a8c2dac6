"""The prediction of one study, in a working process of the service that stays with its models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from mmccd.apps.pacs.settings import PREFIX
from mmccd.core import ModelError, Settings, error_class
from mmccd.jobs import (
    DICOM,
    Account,
    Input,
    Limits,
    Outcome,
    Supervised,
    Task,
    Worker,
    log_change,
    run_tasks,
)

APP_YAML = "app.yaml"


class Application:
    """Runs one study after the other in a working process.

    Args:
        settings: of the prediction.
        environment: variables, of which the working process gets its own (:func:`own_variables`).
    """

    def __init__(self, settings: Settings, environment: Mapping[str, str]) -> None:
        # Each output folder is new.
        self._settings = settings.model_copy(update={"force": False})
        worker = Worker(
            log_format=settings.log_format,
            log_level=settings.log_level,
            environment=own_variables(environment),
        )
        self._run = Supervised(worker, Limits(settings.timeout_s))

    def __call__(self, name: str, source: Path, output: Path, beat: Callable[[], None]) -> None:
        """Run the prediction on a folder to its end.

        Args:
            name: of the study.
            source: folder with one DICOM study.
            output: folder for the results.
            beat: called now and then.

        Raises:
            MmccdError: it failed; with its exit code and its message.
        """

        def watch(account: Account, change: Outcome | None) -> None:
            log_change(account, change)
            beat()

        one = Input(source, name, DICOM)
        account = Account([Task(1, one, output, name, self._settings, private=True)])
        run_tasks(account, self._run, watch)
        (outcome,) = account.outcomes.values()
        if outcome.exit_code == ModelError.exit_code:
            self.close()  # models that are put right are looked for in a new process
        if outcome.exit_code:
            raise error_class(outcome.exit_code)(outcome.error or "no reason was given")

    def close(self) -> None:
        """End the working process."""
        self._run.close()


def own_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """What the prediction may know: not where the archive is, and no credentials."""
    return {name: value for name, value in environment.items() if not name.startswith(PREFIX)}


def settings_file(environment: Mapping[str, str]) -> Path | None:
    """The application's settings that hold for the service, too: the file that is mounted
    (HOLOSCAN_CONFIG_PATH), else the one beside the application (HOLOSCAN_APPLICATION); None where
    neither is there.
    """
    mounted = environment.get("HOLOSCAN_CONFIG_PATH")
    beside = environment.get("HOLOSCAN_APPLICATION")
    places = [Path(mounted)] if mounted else []
    places += [Path(beside) / APP_YAML] if beside else []
    return next((place for place in places if place.is_file()), None)
