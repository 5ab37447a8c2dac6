// The page's behaviour: viewer, threshold, lesions. The data are those of the JSON block; nothing is fetched.
(async function () {
  "use strict";
  const { segment, count, outline, healthyAbove, shownFrom } = globalThis.segmentation;
  const { SEGMENTED, BRAIN, planes, makeViewer, makeLayers, showLayers, go } = globalThis.viewing;
  const data = JSON.parse(document.getElementById("data").textContent);
  const find = (id) => document.getElementById(id);
  const STEPS = 1000;
  const HEADER_BYTES = 352;
  const state = { threshold: data.threshold, mask: null, voxel: null };

  async function unpack(text) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).arrayBuffer();
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
  find("print").addEventListener("click", () => print());
  resegment();

  // ---- viewer

  let viewer = null;
  let layers = null;
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
    if (viewer) go(viewer, voxel);
  }

  function located(place) {
    const voxel = place.vox.map(Math.round);
    state.voxel = voxel;
    const index = voxel[0] + shape[0] * (voxel[1] + shape[1] * voxel[2]);
    const [x, y, z] = Array.from(place.mm).map((value) => value.toFixed(1));
    const value = brain[index] ? `map ${map[index].toPrecision(3)}` : "outside the brain";
    find("location").textContent = `Slice ${data.first_slice + voxel[2] + 1} of ${data.slices} · R ${x}, A ${y}, S ${z} mm · ${value}`;
  }

  // The viewer's script lies packed in the page; a script element runs what it holds.
  async function unpackViewer() {
    const script = document.createElement("script");
    script.textContent = new TextDecoder().decode(await unpack(find("niivue").textContent));
    document.head.append(script);
  }

  async function startViewer() {
    await unpackViewer();
    const made = await makeViewer(find("canvas"));
    made.onLocationChange = located;
    layers = await makeLayers(made, data, files, "flair", data.window, find("opacity").value / 100);
    drawLayers();
    showLayers(made, layers);
    made.setCustomLayout(planes());
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
