"""What stands once in a BIDS derivative data set: its description, a README and the tables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import mmccd
from mmccd.core import OutputError, write_json, write_text
from mmccd.outputs.bids.names import RAW, relative_link
from mmccd.outputs.index.write import INDEX

DESCRIPTION = "dataset_description.json"
TOOL = "MMCCD"
BIDS_VERSION = "1.10.0"
WORK = ".mmccd"
"""Where the results lie as ``mmccd predict`` writes them; by these a run goes on."""
_IGNORED = (f"{WORK}/", INDEX, "group_FLAIR.*", "sub-*/figures")
_MISSING = "n/a"
_README = """# Anomaly segmentation of FLAIR images

Made by MMCCD {version} (masked modality cycles with conditional diffusion). {notice}

Each FLAIR of the raw data set has, on its own grid:

- `*_label-L_desc-anomaly_mask.nii.gz`: what is unusual, 1, and what is not, 0
- `*_label-L_desc-anomaly_probseg.nii.gz`: the anomaly map, a score and no probability
- `*_label-L_desc-percentile_probseg.nii.gz`: 0 to 100, where the settings have a normal range
- `*_desc-brain_mask.nii.gz`: the brain

The JSON beside each says from what and how it was made: threshold, preset, hashes of the weights.
`sub-*/figures` has a picture and a report for each, `index.html` lists all of them, the unusual
ones first. `participants.tsv` has a row for each participant, `group_FLAIR.tsv` one for each image;
`logs` tells how the runs went. The hidden folder `.mmccd` is what a run goes on from; it may be
removed where nothing is to be added.
"""


def check_dataset(folder: Path, raw: Path) -> None:
    """Refuse a folder that must not be written into.

    Raises:
        OutputError: it is the raw data set itself, or another program's.
    """
    if folder.resolve() == raw.resolve():
        raise OutputError(
            f"{folder}: is the raw data set; expected a folder of its own, such as"
            f" {folder / 'derivatives' / 'mmccd'}",
            code="output.in_the_way",
        )
    made_by = _generators(folder / DESCRIPTION)
    if made_by is not None and TOOL not in made_by:
        raise OutputError(
            f"{folder}: holds a data set made by {', '.join(made_by) or 'somebody else'}; expected"
            " a new folder, or one of ours; choose another one",
            code="output.in_the_way",
        )


def _generators(path: Path) -> list[str] | None:
    """Who made a data set; None where there is none."""
    if not path.exists():
        return None
    content = _object(path)
    made_by = content.get("GeneratedBy")
    entries = made_by if isinstance(made_by, list) else []
    return [str(one.get("Name")) for one in entries if isinstance(one, dict)]


def write_dataset(folder: Path, raw: Path) -> None:
    """Write ``dataset_description.json``, ``README.md`` and ``.bidsignore``.

    Args:
        folder: the derivative data set.
        raw: what it is made of.

    Raises:
        OutputError: a file cannot be written.
    """
    write_json(folder / DESCRIPTION, description(folder, raw))
    readme = _README.format(version=mmccd.__version__, notice=mmccd.NOTICE)
    write_text(folder / "README.md", readme)
    write_text(folder / ".bidsignore", "".join(f"{line}\n" for line in _IGNORED))


def description(folder: Path, raw: Path) -> dict[str, Any]:
    """Content of ``dataset_description.json``; of the raw data set its name, DOI and version."""
    known = _object(raw / DESCRIPTION)
    source = {"URL": f"bids:{RAW}:"}
    for key, ours in (("DatasetDOI", "DOI"), ("DatasetVersion", "Version")):
        if isinstance(known.get(key), str):
            source[ours] = known[key]
    return {
        "Name": dataset_name(raw),
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": TOOL, "Version": mmccd.__version__, "Description": mmccd.NOTICE}],
        "SourceDatasets": [source],
        "DatasetLinks": {RAW: relative_link(raw, folder)},
    }


def dataset_name(raw: Path) -> str:
    """Of the derivatives, by that of the raw data set."""
    name = _object(raw / DESCRIPTION).get("Name")
    return f"Anomaly segmentation of {name}" if name else "Anomaly segmentation of FLAIR"


def _object(path: Path) -> dict[str, Any]:
    """A JSON object; empty where there is none to be read."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def write_table(
    stem: Path, rows: Sequence[Mapping[str, Any]], columns: Mapping[str, Mapping[str, Any]]
) -> None:
    """Write a table as BIDS has them: ``STEM.tsv``, and ``STEM.json`` that explains its columns.

    Args:
        stem: path without ending.
        rows: what is None is written as ``n/a``.
        columns: what each means, in the order of the table.

    Raises:
        OutputError: a file cannot be written.
    """
    lines = [list(columns), *([_cell(row.get(name)) for name in columns] for row in rows)]
    write_text(stem.with_suffix(".tsv"), "".join("\t".join(cells) + "\n" for cells in lines))
    write_json(stem.with_suffix(".json"), {name: dict(one) for name, one in columns.items()})


def _cell(value: Any) -> str:
    return _MISSING if value in (None, "") else " ".join(str(value).split())
