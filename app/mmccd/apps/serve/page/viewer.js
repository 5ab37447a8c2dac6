// One canvas with NiiVue: a base image with map and segmentation over it.

const { outline, shownFrom } = globalThis.segmentation;
const { Niivue, NVImage, SLICE_TYPE, SHOW_RENDER } = globalThis.niivue;
const FROM_ZERO_HIDDEN_BELOW_MIN = 2; // a colormapType of NiiVue: colours from 0 to cal_max, nothing below cal_min
const FILL_OPACITY = 0.15;
const SEGMENTED = 1;
const { AXIAL, CORONAL, SAGITTAL, RENDER } = SLICE_TYPE;
const whole = (sliceType) => [{ sliceType, position: [0, 0, 1, 1] }];
const LAYOUTS = {
  all: [
    { sliceType: AXIAL, position: [0, 0, 0.5, 0.5] },
    { sliceType: CORONAL, position: [0.5, 0, 0.5, 0.5] },
    { sliceType: SAGITTAL, position: [0, 0.5, 0.5, 0.5] },
    { sliceType: RENDER, position: [0.5, 0.5, 0.5, 0.5] },
  ],
  planes: [
    { sliceType: AXIAL, position: [0, 0, 0.62, 1] },
    { sliceType: CORONAL, position: [0.62, 0, 0.38, 0.5] },
    { sliceType: SAGITTAL, position: [0.62, 0.5, 0.38, 0.5] },
  ],
  axial: whole(AXIAL),
  coronal: whole(CORONAL),
  sagittal: whole(SAGITTAL),
  render: whole(RENDER),
};
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

export class Pane {
  /** `moved` is called with the place of the crosshair whenever its user moves it. */
  constructor(canvas, moved) {
    this.canvas = canvas;
    this.moved = moved;
    this.scan = null;
    this.quiet = false;
  }

  async start() {
    if (this.viewer) return;
    if (!this.canvas.getContext("webgl2")) throw new Error("this browser offers no WebGL 2");
    this.canvas.addEventListener("keydown", (event) => this.onKey(event));
    this.canvas.addEventListener("keyup", (event) => this.onKey(event));
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
    await viewer.attachToCanvas(this.canvas, true);
    viewer.onLocationChange = (place) => !this.quiet && this.moved(place, this);
    viewer.opts.atlasOutline = 1;
    this.viewer = viewer;
  }

  /** Show a scan: its input, or (`base` is "returned") what the models made of it. */
  async show(scan, base, mask, look) {
    await this.start();
    const { figures, files } = scan;
    const column = (n) => figures.colours.map((colour) => colour[n]);
    const ramp = figures.colours.map((_, n) => Math.round((255 * n) / (figures.colours.length - 1)));
    this.viewer.addColormap("anomaly", { R: column(0), G: column(1), B: column(2), A: ramp.map((value) => Math.min(255, 255 * value)), I: ramp });
    const [red, green, blue] = rgb(figures.outline);
    this.viewer.addColormap("segmentation", { R: [0, red], G: [0, green], B: [0, blue], A: [0, 255], I: [0, 255] });
    const image = await NVImage.new(files[base], `${base}.nii`, "gray", 1);
    [image.cal_min, image.cal_max] = base === "returned" ? figures.returned_window : figures.window;
    this.map = await NVImage.new(files.map, "map.nii", "anomaly", base === "returned" ? 0 : look.opacity);
    this.map.colormapType = FROM_ZERO_HIDDEN_BELOW_MIN;
    this.map.cal_max = figures.top;
    this.fill = await NVImage.new(files.brain, "fill.nii", "segmentation", FILL_OPACITY);
    [this.fill.cal_min, this.fill.cal_max] = [0, 1];
    this.lines = await NVImage.new(files.brain, "lines.nii", "gray", 1);
    this.lines.setColormapLabel({ R: [0, red], G: [0, green], B: [0, blue], A: [0, 255], I: [0, SEGMENTED], labels: ["", "segmentation"] });
    this.scan = scan;
    this.base = base;
    this.put(mask, look);
    // addVolume draws everything anew, so only the last one goes through it.
    this.viewer.volumes = [image, this.map, this.fill];
    this.viewer.addVolume(this.lines);
    this.layout(look.layout);
  }

  put(mask, look) {
    const shown = look.segmentation ? mask : new Uint8Array(mask.length);
    this.lines.img = outline(shown, this.scan.shape);
    this.fill.img = this.base === "returned" ? new Uint8Array(mask.length) : shown;
    this.map.cal_min = shownFrom(look.threshold, this.scan.figures.top);
  }

  /** Another segmentation of the same scan. */
  renew(mask, look) {
    this.put(mask, look);
    this.viewer.updateGLVolume();
  }

  opacity(value) {
    if (this.base !== "returned") this.viewer.setOpacity(this.viewer.getVolumeIndexByID(this.map.id), value);
  }

  layout(name) {
    this.viewer.setCustomLayout(LAYOUTS[name]);
  }

  /** Move the crosshair to a voxel, and tell. */
  go(voxel) {
    this.viewer.scene.crosshairPos = this.viewer.vox2frac(voxel);
    this.viewer.createOnLocationChange();
    this.viewer.drawScene();
  }

  /** Move the crosshair to the same part of the head (0 to 1 along each axis), and tell nobody. */
  follow(fraction) {
    this.viewer.scene.crosshairPos = fraction;
    this.viewer.drawScene();
  }

  get fraction() {
    return [...this.viewer.scene.crosshairPos];
  }

  onKey(event) {
    event.stopImmediatePropagation();
    if (!(event.key in MOVES)) return;
    event.preventDefault();
    if (event.type === "keydown") this.viewer.moveCrosshairInVox(...MOVES[event.key]);
  }
}
