"""MMCCD in 3D Slicer: finds anomalies in a FLAIR volume by ``mmccd predict``, and loads the map,
the segmentation and the brain. What needs no Slicer is in MMCCDLib.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import ctk
import qt
import slicer
from MMCCDLib.run import (
    DEVICES,
    OPERATING_POINTS,
    PRESETS,
    Layer,
    Options,
    RunError,
    Running,
    RunResult,
    clean_environment,
    command,
    find_program,
)
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleWidget,
)

NOTICE = "Research use only. Not a medical device. Not for diagnosis."
PROGRAM = "MMCCD/program"
COLOURS = Path(__file__).parent / "Resources" / "mmccd_anomaly_map.ctbl"
ASK_EVERY_MS = 300


class MMCCD(ScriptedLoadableModule):
    """The module's entry in Slicer."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = "MMCCD"
        parent.categories = ["Segmentation"]
        parent.dependencies = []
        parent.contributors = ["MMCCD developers"]
        parent.helpText = (
            f"Finds what is unusual in a brain's FLAIR. {NOTICE} The program mmccd has to be"
            " installed in an environment of its own."
        )
        parent.acknowledgementText = (
            "Liang et al., Modality Cycles with Masked Conditional Diffusion for Unsupervised"
            " Anomaly Segmentation in MRI, 2023."
        )


class MMCCDLogic(ScriptedLoadableModuleLogic):
    """Starts runs, and loads what they found."""

    def start(self, volume, program: str, options: Options) -> Running:
        """Begin a run on a volume of the scene."""
        program = find_program(program)
        folder = Path(tempfile.mkdtemp(prefix="mmccd-", dir=slicer.app.temporaryPath))
        image = folder / "flair.nii.gz"
        if not slicer.util.saveNode(volume, str(image)):
            raise RunError(f"{image}: the volume cannot be written; free some space")
        return Running(
            command(program, image, folder / "results", options),
            clean_environment(slicer.util.startupEnvironment()),
        )

    def load(self, volume, result: RunResult) -> list:
        """Load all layers, the map over the volume that was judged."""
        nodes = [self._load(layer) for layer in result.layers]
        maps = [
            node
            for node, layer in zip(nodes, result.layers)  # noqa: B905 (Python 3.9)
            if layer.kind == "volume"
        ]
        slicer.util.setSliceViewerLayers(
            background=volume, foreground=maps[0] if maps else None, foregroundOpacity=0.6
        )
        return nodes

    def _load(self, layer: Layer):
        if layer.kind == "segmentation":
            node = slicer.util.loadSegmentation(layer.path, {"name": layer.name})
            segments = node.GetSegmentation()
            for number in range(segments.GetNumberOfSegments()):
                segments.GetNthSegment(number).SetName(layer.name)
                segments.GetNthSegment(number).SetColor(*layer.colour)
            node.GetDisplayNode().SetVisibility2DFill(False)
            node.GetDisplayNode().SetVisibility(layer.name != "Brain")
            return node
        node = slicer.util.loadVolume(layer.path, {"name": layer.name, "show": False})
        display = node.GetDisplayNode()
        display.SetAndObserveColorNodeID(slicer.util.loadColorTable(str(COLOURS)).GetID())
        display.SetAutoWindowLevel(False)
        display.SetWindowLevelMinMax(*layer.span)
        display.SetAutoThreshold(False)
        display.SetLowerThreshold(layer.lowest)
        display.SetUpperThreshold(layer.span[1])
        display.SetApplyThreshold(True)
        return node


class MMCCDWidget(ScriptedLoadableModuleWidget):
    """The module's panel."""

    def setup(self):
        """Build the panel."""
        ScriptedLoadableModuleWidget.setup(self)
        self.logic, self.running, self.volume, self.report = MMCCDLogic(), None, None, ""
        form = qt.QFormLayout()
        self.layout.addLayout(form)
        self.input = slicer.qMRMLNodeComboBox()
        self.input.nodeTypes = ["vtkMRMLScalarVolumeNode"]
        self.input.addEnabled = self.input.removeEnabled = False
        self.input.noneEnabled = False
        self.input.setMRMLScene(slicer.mrmlScene)
        form.addRow("FLAIR", self.input)
        self.preset = self._choice(form, "Preset", PRESETS)
        self.point = self._choice(form, "Operating point", OPERATING_POINTS)
        self.device = self._choice(form, "Device", DEVICES)
        self.unchecked = qt.QCheckBox("go on where the checks refuse the image")
        form.addRow("", self.unchecked)
        self.program = ctk.ctkPathLineEdit()
        self.program.filters = ctk.ctkPathLineEdit.Files | ctk.ctkPathLineEdit.Dirs
        self.program.currentPath = qt.QSettings().value(PROGRAM, "") or ""
        self.program.toolTip = "The program mmccd, or its environment's folder; empty: the shell's"
        form.addRow("Program", self.program)
        self.button = qt.QPushButton("Find anomalies")
        self.button.connect("clicked()", self.on_button)
        self.layout.addWidget(self.button)
        self.bar = qt.QProgressBar()
        self.bar.visible = False
        self.layout.addWidget(self.bar)
        self.text = qt.QLabel(NOTICE)
        self.text.wordWrap = True
        self.layout.addWidget(self.text)
        self.page = qt.QPushButton("Open the report")
        self.page.visible = False
        self.page.connect("clicked()", self.on_page)
        self.layout.addWidget(self.page)
        self.layout.addStretch(1)
        self.timer = qt.QTimer()
        self.timer.setInterval(ASK_EVERY_MS)
        self.timer.connect("timeout()", self.on_timer)

    def cleanup(self):
        """End a run that is under way."""
        self._end()

    def on_button(self):
        """Start a run, or end the one that is under way."""
        if self.running is not None:
            self._end()
            self.text.text = "Cancelled."
            return
        self.volume = self.input.currentNode()
        if self.volume is None:
            slicer.util.errorDisplay("Choose a FLAIR volume first.")
            return
        qt.QSettings().setValue(PROGRAM, self.program.currentPath)
        options = Options(
            self.preset.currentText,
            self.point.currentText,
            self.device.currentText,
            bool(self.unchecked.checked),
        )
        try:
            self.running = self.logic.start(self.volume, self.program.currentPath, options)
        except RunError as error:
            slicer.util.errorDisplay(str(error))
            return
        self.button.text, self.bar.visible, self.page.visible = "Cancel", True, False
        self.timer.start()

    def on_timer(self):
        """Show how far the run is, and load what it found."""
        if self.running is None:
            return
        try:
            result = self.running.poll()
        except RunError as error:
            self._end()
            self.text.text = str(error)
            slicer.util.errorDisplay(str(error))
            return
        progress = self.running.progress
        self.bar.setRange(0, 0 if progress.share is None else 100)
        self.bar.setValue(round(100 * (progress.share or 0)))
        self.text.text = progress.text
        if result is None:
            return
        self._end()
        self.logic.load(self.volume, result)
        self.text.text = "\n".join([result.summary, *result.warnings])
        self.report = result.report
        self.page.visible = bool(result.report)

    def on_page(self):
        """Open the report in the browser."""
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(Path(self.report).absolute())))

    def _end(self):
        self.timer.stop()
        if self.running is not None:
            self.running.cancel()
        self.running, self.bar.visible, self.button.text = None, False, "Find anomalies"

    @staticmethod
    def _choice(form, title, values):
        box = qt.QComboBox()
        box.addItems(list(values))
        form.addRow(title, box)
        return box
