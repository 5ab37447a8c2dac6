// How a page shows a scan with NiiVue: a viewer on a canvas, and the input with map and segmentation over it. Shared by report.html and the page of `mmccd serve`.
(function (root) {
  "use strict";
  const FROM_ZERO_HIDDEN_BELOW_MIN = 2; // a colormapType of NiiVue: colours from 0 to cal_max, nothing below cal_min
  const FILL_OPACITY = 0.15;
  const SEGMENTED = 1;
  const BRAIN = 2;
  const BRAIN_GREY = 255;
  // The image's left is the patient's right, which is where the first axis grows.
  const MOVES = {
    ArrowLeft: [1, 0, 0],
    ArrowRight: [-1, 0, 0],
    ArrowUp: [0, 1, 0],
    ArrowDown: [0, -1, 0],
    PageUp: [0, 0, 1],
    PageDown: [0, 0, -1],
  };

  const rgb = (text) => [1, 3, 5].map((n) => parseInt(text.slice(n, n + 2), 16));

  /** The axial plane, and beside it the two others. */
  function planes() {
    const { AXIAL, CORONAL, SAGITTAL } = root.niivue.SLICE_TYPE;
    return [
      { sliceType: AXIAL, position: [0, 0, 0.62, 1] },
      { sliceType: CORONAL, position: [0.62, 0, 0.38, 0.5] },
      { sliceType: SAGITTAL, position: [0.62, 0.5, 0.38, 0.5] },
    ];
  }

  /** A viewer on a canvas, whose crosshair keys move. */
  async function makeViewer(canvas) {
    const { Niivue, SLICE_TYPE, SHOW_RENDER } = root.niivue;
    if (!canvas.getContext("webgl2")) throw new Error("this browser offers no WebGL 2");
    const viewer = new Niivue({
      isRadiologicalConvention: true,
      sliceType: SLICE_TYPE.MULTIPLANAR,
      multiplanarShowRender: SHOW_RENDER.NEVER,
      isCornerOrientationText: false,
      dragAndDropEnabled: false,
      scrollRequiresFocus: true,
      logLevel: "error",
      loadingText: "",
      backColor: [0, 0, 0, 1],
      crosshairColor: [0.55, 1, 0.45, 0.7],
      crosshairWidth: 0.6,
      fontColor: [1, 1, 1, 1],
      isNearestInterpolation: false,
    });
    const onKey = (event) => {
      event.stopImmediatePropagation();
      if (!(event.key in MOVES)) return;
      event.preventDefault();
      if (event.type === "keydown") viewer.moveCrosshairInVox(...MOVES[event.key]);
    };
    // Before NiiVue's own, which have other keys.
    canvas.addEventListener("keydown", onKey);
    canvas.addEventListener("keyup", onKey);
    await viewer.attachToCanvas(canvas, true);
    viewer.opts.atlasOutline = 1;
    return viewer;
  }

  /** The image named `base` in `window`, the map in its colours, the segmentation's area and its outline (and the brain's): image, map, fill, lines. */
  async function makeLayers(viewer, figures, files, base, window, opacity) {
    const { NVImage } = root.niivue;
    const column = (n) => figures.colours.map((colour) => colour[n]);
    const ramp = figures.colours.map((_, n) => Math.round((255 * n) / (figures.colours.length - 1)));
    viewer.addColormap("anomaly", { R: column(0), G: column(1), B: column(2), A: ramp.map((value) => Math.min(255, 255 * value)), I: ramp });
    const [red, green, blue] = rgb(figures.outline);
    viewer.addColormap("segmentation", { R: [0, red], G: [0, green], B: [0, blue], A: [0, 255], I: [0, 255] });
    const image = await NVImage.new(files[base], `${base}.nii`, "gray", 1);
    [image.cal_min, image.cal_max] = window;
    const map = await NVImage.new(files.map, "map.nii", "anomaly", opacity);
    map.colormapType = FROM_ZERO_HIDDEN_BELOW_MIN;
    map.cal_max = figures.top;
    const fill = await NVImage.new(files.brain, "fill.nii", "segmentation", FILL_OPACITY);
    [fill.cal_min, fill.cal_max] = [0, 1];
    const lines = await NVImage.new(files.brain, "lines.nii", "gray", 1);
    lines.setColormapLabel({ R: [0, red, BRAIN_GREY], G: [0, green, BRAIN_GREY], B: [0, blue, BRAIN_GREY], A: [0, 255, 255], I: [0, SEGMENTED, BRAIN], labels: ["", "segmentation", "brain"] });
    return { image, map, fill, lines };
  }

  /** Show layers. addVolume draws everything anew, so only the last one goes through it. */
  function showLayers(viewer, { image, map, fill, lines }) {
    viewer.volumes = [image, map, fill];
    viewer.addVolume(lines);
  }

  /** Move the crosshair to a voxel, and tell. */
  function go(viewer, voxel) {
    viewer.scene.crosshairPos = viewer.vox2frac(voxel);
    viewer.createOnLocationChange();
    viewer.drawScene();
  }

  root.viewing = { SEGMENTED, BRAIN, planes, makeViewer, makeLayers, showLayers, go };
})(globalThis);
