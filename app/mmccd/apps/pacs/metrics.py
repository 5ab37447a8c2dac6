"""What Prometheus may know of the service. Studies are counted, and never named."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from mmccd import __version__
from mmccd.apps.pacs import clock
from mmccd.apps.pacs.events import Event, Kind
from mmccd.apps.pacs.ledger import Ledger
from mmccd.apps.pacs.outbox import Outbox

_SECONDS = (0.1, 0.3, 1, 3, 10, 30, 60, 120, 300, 600, 1200, 3600)
_ENDS = {
    Kind.DONE: "done",
    Kind.REFUSED: "refused",
    Kind.FAILED: "failed",
    Kind.GIVEN_UP: "given up",
}
_STAGES = {Kind.FETCHED: "fetch", Kind.PREDICTED: "predict", Kind.STORED: "store"}
_MOVED = {Kind.FETCHED: "fetched", Kind.STORED: "stored", Kind.RECEIVED: "received"}


class Metrics:
    """Listens to events, and looks into ledger and outbox when it is asked.

    Args:
        ledger: of the service.
        outbox: of the service.
    """

    def __init__(self, ledger: Ledger, outbox: Outbox) -> None:
        disable_created_metrics()  # a second series for each, which nobody needs
        self._registry = registry = CollectorRegistry()
        self._ended = Counter(
            "mmccd_attempts",
            "Studies whose round trip ended so (done: results are in all archives)",
            ["outcome"],
            registry=registry,
        )
        self._stages = Histogram(
            "mmccd_stage_seconds",
            "Seconds for one study: fetch, predict, store",
            ["stage"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._objects = Counter(
            "mmccd_objects",
            "DICOM objects that were fetched, received or stored",
            ["what"],
            registry=registry,
        )
        self._bytes = Counter(
            "mmccd_bytes",
            "Bytes that were fetched, received or stored",
            ["what"],
            registry=registry,
        )
        self._errors = Counter(
            "mmccd_archive_errors",
            "What an archive did not give or take, by the stable code of the error",
            ["archive", "code"],
            registry=registry,
        )
        self._looked = Gauge(
            "mmccd_last_look_timestamp_seconds",
            "When the archive last listed its studies, seconds since 1970",
            registry=registry,
        )
        Gauge("mmccd_build_info", "1", ["version"], registry=registry).labels(__version__).set(1)
        self._registry.register(_Standing(ledger, outbox))
        for outcome in _ENDS.values():
            self._ended.labels(outcome)
        for stage in _STAGES.values():
            self._stages.labels(stage)

    def __call__(self, event: Event) -> None:
        """Count an event."""
        values, kind = event.values, event.kind
        if kind in _ENDS:
            self._ended.labels(_ENDS[kind]).inc()
        if kind in _STAGES:
            self._stages.labels(_STAGES[kind]).observe(values["seconds"])
        if kind in _MOVED:
            self._objects.labels(_MOVED[kind]).inc(values.get("objects", 0))
            self._bytes.labels(_MOVED[kind]).inc(values.get("bytes", 0))
        if kind is Kind.ARCHIVE_ERROR:
            self._errors.labels(values["archive"], values["code"]).inc()
        if kind is Kind.LOOKED:
            self._looked.set(clock.seconds())

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        return generate_latest(self._registry)


class _Standing(Collector):
    """How things stand now."""

    def __init__(self, ledger: Ledger, outbox: Outbox) -> None:
        self._ledger, self._outbox = ledger, outbox

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """See the base class."""
        studies = GaugeMetricFamily(
            "mmccd_studies", "Studies that the archive lists, by state", labels=["state"]
        )
        for state, count in self._ledger.counts().items():
            studies.add_metric([state], count)
        yield studies
        yield GaugeMetricFamily(
            "mmccd_outbox_bytes", "Results that wait to be stored", value=self._outbox.size
        )
        yield GaugeMetricFamily(
            "mmccd_heartbeat_seconds", "Seconds since the last sign of life", self._ledger.silence_s
        )
