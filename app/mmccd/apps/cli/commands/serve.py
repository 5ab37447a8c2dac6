"""``mmccd serve``."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Annotated

from mmccd import NOTICE, core
from mmccd.apps.cli.say import say
from mmccd.apps.parser import Only
from mmccd.core import Setting, UsageError

SHARED = Only(
    *("preset", "target", "device", "bundles", "operating_point", "extractor", "bias_correction"),
    "hide_input",
)
Host = Annotated[
    str,
    Setting(
        "address to listen on; any but this machine's own (127.0.0.1) lets others in, and asks for"
        " a token",
        unit="address",
    ),
]
Port = Annotated[int, Setting("port to listen on; 0: any that is free")]
Folder = Annotated[
    str | None,
    Setting(
        "folder of the server, for queue, uploads and results (default: one of this user's)",
        is_path=True,
    ),
]
Name = Annotated[
    str | None,
    Setting("names, with commas between them, by which browsers may call it, beside its own"),
]
Token = Annotated[bool, Setting("ask for a token on this machine, too: for a shared one")]
MaxMib = Annotated[int, Setting("the largest upload", unit="MiB")]
MaxQueue = Annotated[int, Setting("how many scans may wait", unit="number")]
KeepH = Annotated[
    float, Setting("a scan is deleted so long after it is over, with its results", unit="hours")
]
TimeoutS = Annotated[float, Setting("the longest time for one scan; 0: no limit", unit="seconds")]


def serve(
    settings: Annotated[core.Settings, SHARED],
    host: Host = "127.0.0.1",
    port: Port = 8765,
    folder: Folder = None,
    name: Name = None,
    token: Token = False,
    max_mib: MaxMib = 2048,
    max_queue: MaxQueue = 100,
    keep_h: KeepH = 24.0,
    timeout_s: TimeoutS = 3600.0,
) -> None:
    """Open a page on this machine: drop a scan, see its anomaly map, move the threshold. Ctrl-C
    ends it.

    Examples:
        mmccd serve
        mmccd serve --preset fast --port 8080
        mmccd serve --host 0.0.0.0 --name mri.example --keep-h 2
    """
    from mmccd.apps.serve.options import ServeOptions

    options = ServeOptions(
        Path(folder) if folder else _own_folder(),
        settings,
        host,
        port,
        tuple(one.strip() for one in (name or "").split(",") if one.strip()),
        token,
        max_mib,
        max_queue,
        keep_h,
        timeout_s,
    )
    try:
        from mmccd.apps.serve.run import run_server
    except ImportError as error:
        raise UsageError(
            f"{error.name} is missing; expected the extra that the server needs; install it: pip"
            " install 'mmccd[serve]'"
        ) from error
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)  # a traceback may quote the input
    run_server(options, _say_address)


def _say_address(address: str) -> None:
    say(f"{NOTICE}\nOpen {address} (Ctrl-C ends the server)")
    sys.stdout.flush()


def _own_folder() -> Path:
    import platformdirs

    return Path(platformdirs.user_state_dir("mmccd")) / "serve"
