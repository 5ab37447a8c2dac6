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
from mmccd.io import MANUFACTURER as MANUFACTURER, READ_ERRORS
from mmccd.outputs.dicom.conform import conform
from mmccd.outputs.dicom.source import TYPE_2, Source

MODEL = "Masked Modality Cycles with Conditional Diffusion"
WATERMARK = "RESEARCH USE ONLY - NOT FOR DIAGNOSIS"
_NAMESPACE = uuid.UUID("6f0cb7ba-6a40-5a52-8f1e-3f6d1f7b9a11")
_SERIES = {"segmentation": 1, "capture": 2, "report": 3, "pdf": 4}
_MOST_SERIES_NUMBER = 2_000_000
_COPIED = ("TimezoneOffsetFromUTC",)


@dataclass(frozen=True)
class Identity:
    """What all objects of one run share.

    UIDs are name-based UUIDs (version 5) in the arc 2.25 (PS3.5, B.2), over the source instances'
    UIDs, the version, weights, settings and the voxels of map and segmentation, and over what else
    an object says. So the same run gives the same UIDs, and two objects that differ in more than
    the time of their making never share one.

    Attributes:
        key: hash over all that decides the result.
        version: of the software.
        serial: identifies the weights.
        parameters: settings, by name.
        series_number: of the source; None where it has none that can be continued.
        created: when the objects are made, in the time zone of the source.
    """

    key: str
    version: str
    serial: str
    parameters: dict[str, str]
    series_number: int | None
    created: datetime.datetime

    @classmethod
    def of(
        cls, result: Result, source: Source, created: datetime.datetime | None = None
    ) -> Identity:
        """That of a run over a source series.

        Args:
            result: of the run.
            source: the series.
            created: when its objects are made, with a time zone; None for now.
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
                digest_of(result.segmentation.data),
                digest_of(result.anomaly_map.data),
                digest_of(result.smoothed_map.data),
            ],
        }
        key = hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()
        serial = "-".join(sha[:16] for sha in hashes)
        moment = _moment(created or datetime.datetime.now(datetime.UTC), source)
        return cls(key, version, serial, parameters, _series_number(source.first), moment)

    @property
    def date(self) -> str:
        """DA of the making."""
        return self.created.strftime("%Y%m%d")

    @property
    def time(self) -> str:
        """TM of the making."""
        return self.created.strftime("%H%M%S")

    def uid(self, *names: str) -> str:
        """The UID of what has this name."""
        return _uid(self.key, *names)

    @property
    def device_uid(self) -> str:
        """The UID of this version with these weights, whatever the source."""
        return _uid(self.version, self.serial)

    def series(self, kind: str, *content: str) -> dict[str, Any]:
        """The series that objects of one kind form, as arguments of highdicom's classes.

        Its number continues the source's: 1000 times that, and 1 to 4 (series 5 gives 5001 for the
        segmentation, 5002 for pictures, 5003 for the report, 5004 for its PDF).

        Args:
            kind: segmentation, capture, report or pdf.
            content: what its objects have beyond the run's key.
        """
        return {
            "series_instance_uid": self.uid("series", kind, *content),
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


def finish(dataset: Dataset, source: Source, identity: Identity) -> set[str]:
    """What all objects need at last: the source's character set and time zone, the time of their
    making, and values that the standard allows.

    Returns:
        Keywords of texts that were too long and were cut.
    """
    if "SpecificCharacterSet" in source.first:
        dataset.SpecificCharacterSet = source.first.SpecificCharacterSet
    elif "SpecificCharacterSet" in dataset:
        del dataset.SpecificCharacterSet
    for keyword in _COPIED:
        if keyword in source.first:
            setattr(dataset, keyword, source.first[keyword].value)
    dataset.InstanceCreationDate, dataset.InstanceCreationTime = identity.date, identity.time
    for item in dataset.ContributingEquipmentSequence:
        if item.get("ManufacturerModelName") in ("highdicom", MODEL):
            item.ContributionDateTime = f"{identity.date}{identity.time}"
    return conform(dataset, TYPE_2)


def _moment(now: datetime.datetime, source: Source) -> datetime.datetime:
    """A moment in the time zone in which the source's times stand, or else this machine's."""
    if not source.offset:
        return now.astimezone()
    return now.astimezone(datetime.datetime.strptime(source.offset, "%z").tzinfo)


def _uid(*names: str) -> str:
    return f"2.25.{uuid.uuid5(_NAMESPACE, '/'.join(names)).int}"


def _series_number(header: Dataset) -> int | None:
    try:
        number = int(header.SeriesNumber)
    except READ_ERRORS:
        return None
    return number if 0 < number <= _MOST_SERIES_NUMBER else None


def digest_of(data: np.ndarray[Any, Any]) -> str:
    """A hash of all voxels."""
    return hashlib.sha256(np.ascontiguousarray(data).tobytes()).hexdigest()


def digest_of_texts(*texts: str) -> str:
    """A hash of texts in their order."""
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()


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
