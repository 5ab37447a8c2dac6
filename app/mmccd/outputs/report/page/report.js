// The page's behaviour: viewer, threshold, lesions. The data are those of the JSON block; nothing is fetched.
(async function () {
  "use strict";
  const { segment, count, outline, healthyAbove, shownFrom } = globalThis.segmentation;
  const data = JSON.parse(document.getElementById("data").textContent);
  const find = (id) => document.getElementById(id);
  const STEPS = 1000;
  const HEADER_BYTES = 352;
  const FROM_ZERO_HIDDEN_BELOW_MIN = 2; // a colormapType of NiiVue: colours from 0 to cal_max, nothing below cal_min
  const FILL_OPACITY = 0.15;
  const SEGMENTED = 1;
  const BRAIN = 2;
  const state = { threshold: data.threshold, mask: null, voxel: null };

  async function unpack(text) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).arrayBuffer();
  }

  function hexToRgb(text) {
    return [1, 3, 5].map((n) => parseInt(text.slice(n, n + 2), 16));
  }

  const files = {};
  for (const name of ["flair", "map", "brain"]) files[name] = await unpack(data.volumes[name]);
  const shape = [...new Int16Array(files.map, 42, 3)];
  const map = new Float32Array(files.map, HEADER_BYTES);
  const brain = new Uint8Array(files.brain, HEADER_BYTES);

  // ---- numbers: they work where there is no WebGL, too

  function resegment() {
    state.mask = segment(map, brain, shape, state.threshold, data.min_component_ml, data.voxel_ml);
    const millilitres = count(state.mask) * data.voxel_ml;
    find("volume").textContent = millilitres.toFixed(1);
    find("value").value = String(Number(state.threshold.toPrecision(4)));
    find("slider").value = String(Math.round((STEPS * state.threshold) / data.range));
    find("slider").setAttribute("aria-valuetext", `${state.threshold.toPrecision(3)}, ${millilitres.toFixed(1)} mL`);
    const moved = state.threshold !== data.threshold;
    find("reset").disabled = !moved;
    find("moved").hidden = !moved;
    find("healthy").textContent = healthyText();
  }

  function healthyText() {
    if (Object.keys(data.healthy_quantiles).length === 0) return "";
    const [least, most] = healthyAbove(state.threshold, data.healthy_quantiles);
    const share = least === 0 ? `less than ${most} %` : most === 100 ? `more than ${least} %` : `${least} to ${most} %`;
    return `Of healthy brain, ${share} lies above it.`;
  }

  function setThreshold(value) {
    if (!Number.isFinite(value)) return;
    state.threshold = value;
    resegment();
    schedule();
  }

  find("slider").addEventListener("input", (event) => setThreshold((Number(event.target.value) / STEPS) * data.range));
  find("value").addEventListener("change", (event) => setThreshold(event.target.value === "" ? NaN : Number(event.target.value)));
  find("reset").addEventListener("click", () => setThreshold(data.threshold));
  resegment();

  // ---- viewer

  let viewer = null;
  const layers = {};
  let waiting = false;

  function drawLayers() {
    const shown = find("show-brain").checked ? outline(brain, shape).map((value) => value * BRAIN) : new Uint8Array(map.length);
    const segmented = find("show-segmentation").checked ? state.mask : new Uint8Array(map.length);
    outline(segmented, shape).forEach((value, n) => value && (shown[n] = SEGMENTED));
    layers.lines.img = shown;
    layers.fill.img = segmented;
    layers.map.cal_min = shownFrom(state.threshold, data.top);
  }

  function schedule() {
    if (waiting || !viewer) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      drawLayers();
      viewer.updateGLVolume();
    });
  }

  function show(voxel) {
    if (!viewer) return;
    viewer.scene.crosshairPos = viewer.vox2frac(voxel);
    viewer.createOnLocationChange();
    viewer.drawScene();
  }

  function located(place) {
    const voxel = place.vox.map(Math.round);
    state.voxel = voxel;
    const index = voxel[0] + shape[0] * (voxel[1] + shape[1] * voxel[2]);
    const [x, y, z] = Array.from(place.mm).map((value) => value.toFixed(1));
    const value = brain[index] ? `map ${map[index].toPrecision(3)}` : "outside the brain";
    find("location").textContent = `Slice ${data.first_slice + voxel[2] + 1} of ${data.slices} · R ${x}, A ${y}, S ${z} mm · ${value}`;
  }

  // The image's left is the patient's right, which is where the first axis grows.
  const MOVES = {
    ArrowLeft: [1, 0, 0],
    ArrowRight: [-1, 0, 0],
    ArrowUp: [0, 1, 0],
    ArrowDown: [0, -1, 0],
    PageUp: [0, 0, 1],
    PageDown: [0, 0, -1],
  };

  function onKey(event) {
    event.stopImmediatePropagation();
    if (!(event.key in MOVES)) return;
    event.preventDefault();
    if (event.type === "keydown") viewer.moveCrosshairInVox(...MOVES[event.key]);
  }

  // The viewer's script lies packed in the page; a script element runs what it holds.
  async function unpackViewer() {
    const script = document.createElement("script");
    script.textContent = new TextDecoder().decode(await unpack(find("niivue").textContent));
    document.head.append(script);
  }

  async function startViewer() {
    await unpackViewer();
    const { Niivue, NVImage, SLICE_TYPE, SHOW_RENDER } = globalThis.niivue;
    const canvas = find("canvas");
    if (!canvas.getContext("webgl2")) throw new Error("this browser offers no WebGL 2");
    canvas.addEventListener("keydown", onKey);
    canvas.addEventListener("keyup", onKey);
    const made = new Niivue({
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
    const column = (n) => data.colours.map((colour) => colour[n]);
    const ramp = data.colours.map((_, n) => Math.round((255 * n) / (data.colours.length - 1)));
    made.addColormap("anomaly", { R: column(0), G: column(1), B: column(2), A: ramp.map((value) => Math.min(255, 255 * value)), I: ramp });
    await made.attachToCanvas(canvas, true);
    made.onLocationChange = located;
    const flair = await NVImage.new(files.flair, "flair.nii", "gray", 1);
    [flair.cal_min, flair.cal_max] = data.window;
    layers.map = await NVImage.new(files.map, "map.nii", "anomaly", find("opacity").value / 100);
    layers.map.colormapType = FROM_ZERO_HIDDEN_BELOW_MIN;
    layers.map.cal_max = data.top;
    const [red, green, blue] = hexToRgb(data.outline);
    made.addColormap("segmentation", { R: [0, red], G: [0, green], B: [0, blue], A: [0, 255], I: [0, 255] });
    layers.fill = await NVImage.new(files.brain, "fill.nii", "segmentation", FILL_OPACITY);
    [layers.fill.cal_min, layers.fill.cal_max] = [0, 1];
    layers.lines = await NVImage.new(files.brain, "lines.nii", "gray", 1);
    layers.lines.setColormapLabel({ R: [0, red, 255], G: [0, green, 255], B: [0, blue, 255], A: [0, 255, 255], I: [0, SEGMENTED, BRAIN], labels: ["", "segmentation", "brain"] });
    drawLayers();
    made.opts.atlasOutline = 1;
    // addVolume draws everything anew, so only the last one goes through it.
    made.volumes = [flair, layers.map, layers.fill];
    made.addVolume(layers.lines);
    made.setCustomLayout([
      { sliceType: SLICE_TYPE.AXIAL, position: [0, 0, 0.62, 1] },
      { sliceType: SLICE_TYPE.CORONAL, position: [0.62, 0, 0.38, 0.5] },
      { sliceType: SLICE_TYPE.SAGITTAL, position: [0.62, 0.5, 0.38, 0.5] },
    ]);
    return made;
  }

  try {
    viewer = await startViewer();
    find("opacity").addEventListener("input", (event) => {
      viewer.setOpacity(viewer.getVolumeIndexByID(layers.map.id), event.target.value / 100);
    });
    ["show-segmentation", "show-brain"].forEach((id) => find(id).addEventListener("change", schedule));
    document.querySelectorAll("[data-lesion]").forEach((row) => {
      row.addEventListener("click", () => {
        show(data.lesion_voxels[Number(row.dataset.lesion)]);
        document.querySelectorAll("[data-lesion]").forEach((other) => other.toggleAttribute("data-chosen", other === row));
      });
    });
    document.querySelectorAll("[data-slice]").forEach((button) => {
      button.addEventListener("click", () => {
        show([state.voxel[0], state.voxel[1], Number(button.dataset.slice) - data.first_slice]);
        find("viewer").scrollIntoView({ block: "nearest" });
      });
    });
    show(data.start_voxel);
  } catch (error) {
    find("no-viewer").hidden = false;
    find("no-viewer").textContent = `The viewer could not be started (${error.message}). The pictures, the tables and the volume below do without it.`;
    find("canvas").hidden = true;
  }
  globalThis.report = { state, data, shape, viewer, show };
  document.body.dataset.ready = "yes";
})();
