// One canvas with NiiVue: a base image with map and segmentation over it.

const { outline, shownFrom } = globalThis.segmentation;
const { planes, makeViewer, makeLayers, showLayers, go } = globalThis.viewing;
const { AXIAL, CORONAL, SAGITTAL, RENDER } = globalThis.niivue.SLICE_TYPE;
const whole = (sliceType) => [{ sliceType, position: [0, 0, 1, 1] }];
const LAYOUTS = {
  all: [
    { sliceType: AXIAL, position: [0, 0, 0.5, 0.5] },
    { sliceType: CORONAL, position: [0.5, 0, 0.5, 0.5] },
    { sliceType: SAGITTAL, position: [0, 0.5, 0.5, 0.5] },
    { sliceType: RENDER, position: [0.5, 0.5, 0.5, 0.5] },
  ],
  planes: planes(),
  axial: whole(AXIAL),
  coronal: whole(CORONAL),
  sagittal: whole(SAGITTAL),
  render: whole(RENDER),
};
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
    const viewer = await makeViewer(this.canvas);
    viewer.onLocationChange = (place) => !this.quiet && this.moved(place, this);
    this.viewer = viewer;
  }

  /** Show a scan: its input, or (`base` is "returned") what the models made of it. */
  async show(scan, base, mask, look) {
    await this.start();
    const { figures, files } = scan;
    const isReturned = base === "returned";
    const layers = await makeLayers(this.viewer, figures, files, base, isReturned ? figures.returned_window : figures.window, isReturned ? 0 : look.opacity);
    Object.assign(this, { scan, base, map: layers.map, fill: layers.fill, lines: layers.lines });
    this.put(mask, look);
    showLayers(this.viewer, layers);
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
    go(this.viewer, voxel);
  }

  /** Move the crosshair to the same part of the head (0 to 1 along each axis), and tell nobody. */
  follow(fraction) {
    this.viewer.scene.crosshairPos = fraction;
    this.viewer.drawScene();
  }

  get fraction() {
    return [...this.viewer.scene.crosshairPos];
  }
}
