"""Who made the objects, and their UIDs: the same run gives the same objects."""

from __future__ import annotations

import datetime
import hashlib
import json
import uuid
from dataclasses import dataclass
from typing import Any

import numpy as np
from highdicom import AlgorithmIdentificationSequence, ContributingEquipment
from highdicom.sr import AlgorithmIdentification
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from mmccd.core import Report, Result
from mmccd.io import READ_ERRORS
from mmccd.outputs.dicom.source import Source

MANUFACTURER = "MMCCD"
MODEL = "Masked Modality Cycles with Conditional Diffusion"
WATERMARK = "RESEARCH USE ONLY - NOT FOR DIAGNOSIS"
_NAMESPACE = uuid.UUID("6f0cb7ba-6a40-5a52-8f1e-3f6d1f7b9a11")
_SERIES = {"segmentation": 1, "capture": 2, "report": 3}
_MOST_SERIES_NUMBER = 2_000_000
_COPIED = ("TimezoneOffsetFromUTC",)


@dataclass(frozen=True)
class Identity:
    """What all objects of one run share.

    UIDs are name-based UUIDs (version 5) in the arc 2.25 (PS3.5, B.2), over the source instances'
    UIDs, the version, weights, settings and the voxels of map and segmentation. So the same run
    gives the same UIDs, and two results that differ never share one.

    Attributes:
        key: hash over all that decides the result.
        version: of the software.
        serial: identifies the weights.
        parameters: settings, by name.
        series_number: of the source; None where it has none that can be continued.
        date: DA, of the source.
        time: TM, of the source.
    """

    key: str
    version: str
    serial: str
    parameters: dict[str, str]
    series_number: int | None
    date: str
    time: str

    @classmethod
    def of(cls, result: Result, source: Source) -> Identity:
        """That of a run over a source series. Where the source has no date at all the current one
        is taken.
        """
        report = result.report
        parameters = _parameters(report)
        hashes = [weights.sha256 for weights in report.weights.values()]
        version = report.versions["mmccd"]
        decisive = {
            "source": sorted(str(header.SOPInstanceUID) for header in source.headers),
            "version": version,
            "weights": hashes,
            "settings": parameters,
            "voxels": [
                _digest(result.segmentation.data),
                _digest(result.anomaly_map.data),
                _digest(result.smoothed_map.data),
            ],
        }
        key = hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()
        date, time = source.moment
        if not date:
            now = datetime.datetime.now()
            date, time = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
        serial = "-".join(sha[:16] for sha in hashes)
        return cls(key, version, serial, parameters, _series_number(source.first), date, time)

    def uid(self, *names: str) -> str:
        """The UID of what has this name."""
        return _uid(self.key, *names)

    @property
    def device_uid(self) -> str:
        """The UID of this version with these weights, whatever the source."""
        return _uid(self.version, self.serial)

    def series(self, kind: str) -> dict[str, Any]:
        """The series that objects of one kind (segmentation, capture, report) form, as arguments of
        highdicom's classes.

        Its number continues the source's: 1000 times that, and 1, 2 or 3 (series 5 gives 5001,
        5002, 5003).
        """
        return {
            "series_instance_uid": self.uid("series", kind),
            "series_number": 1000 * (self.series_number or 9) + _SERIES[kind],
            "manufacturer": MANUFACTURER,
            "manufacturer_model_name": MODEL,
            "software_versions": self.version,
            "device_serial_number": self.serial,
            "content_date": self.date,
            "content_time": self.time,
            "series_date": self.date,
            "series_time": self.time,
            "contributing_equipment": [self.equipment()],
            "specific_character_set": None,
        }

    def equipment(self) -> ContributingEquipment:
        """This software as contributing equipment, purpose 109102 DCM."""
        return ContributingEquipment(
            MANUFACTURER,
            codes.DCM.ProcessingEquipment,
            manufacturer_model_name=MODEL,
            software_versions=self.version,
            device_serial_number=self.serial,
            contribution_description=f"Unsupervised anomaly segmentation; {WATERMARK.lower()}",
        )

    def algorithm(self) -> AlgorithmIdentificationSequence:
        """The algorithm, for a segment."""
        return AlgorithmIdentificationSequence(
            MODEL,
            codes.DCM.ArtificialIntelligence,
            self.version,
            source=MANUFACTURER,
            parameters=self.parameters,
        )

    def algorithm_items(self) -> AlgorithmIdentification:
        """The algorithm, for a structured report (TID 4019)."""
        return AlgorithmIdentification(
            MODEL,
            self.version,
            [f"{name}: {value}" for name, value in self.parameters.items()],
            codes.DCM.ArtificialIntelligence,
            MANUFACTURER,
        )


def finish(dataset: Dataset, source: Source) -> None:
    """What all objects need at last: the source's character set and time zone, and no moment of
    this run, so that a second run gives the same bytes.
    """
    if "SpecificCharacterSet" in source.first:
        dataset.SpecificCharacterSet = source.first.SpecificCharacterSet
    elif "SpecificCharacterSet" in dataset:
        del dataset.SpecificCharacterSet
    for keyword in _COPIED:
        if keyword in source.first:
            setattr(dataset, keyword, source.first[keyword].value)
    for keyword in ("InstanceCreationDate", "InstanceCreationTime"):
        del dataset[keyword]
    for item in dataset.ContributingEquipmentSequence:
        if item.get("ManufacturerModelName") == "highdicom":
            del item.ContributionDateTime


def _uid(*names: str) -> str:
    return f"2.25.{uuid.uuid5(_NAMESPACE, '/'.join(names)).int}"


def _series_number(header: Dataset) -> int | None:
    try:
        number = int(header.SeriesNumber)
    except READ_ERRORS:
        return None
    return number if 0 < number <= _MOST_SERIES_NUMBER else None


def _digest(data: np.ndarray[Any, Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(data).tobytes()).hexdigest()


def _parameters(report: Report) -> dict[str, str]:
    """Settings and weights as short texts, as they stand in report.json."""
    settings: dict[str, Any] = {}
    for name, value in report.settings.model_dump(mode="json").items():
        settings |= (
            {f"{name} {inner}": entry for inner, entry in value.items()}
            if isinstance(value, dict)
            else {name: value}
        )
    threshold = {
        "threshold": f"{report.threshold.value:.6g}",
        "threshold source": report.threshold.source,
        "operating point": report.threshold.operating_point,
    }
    weights = {
        f"{name} weights": f"sha256 {weights.sha256[:16]}"
        for name, weights in report.weights.items()
    }
    return {
        name: str(value)
        for name, value in {**settings, **threshold, **weights}.items()
        if value not in (None, "")
    }
