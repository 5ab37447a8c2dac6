// The page: uploads, the list of scans, and the scan that is shown. All state is the server's; the address says which scan is shown.

import * as api from "./api.js";
import { listen } from "./drop.js";
import { draw, inThePage, news, size, toggleSeries } from "./queue.js";
import { Pane } from "./viewer.js";
import { above, load, regions } from "./volumes.js";

const find = (id) => document.getElementById(id);
const STEPS = 1000;
const MOST_REGIONS = 30;
const BUSY_MS = 1000;
const IDLE_MS = 4000;
const AT_ONCE = 1; // so that scans wait in the order of the drop
const POINTS = ["specific", "balanced", "sensitive"];
const { healthyAbove } = globalThis.segmentation;

const state = { limits: null, scans: [], uploads: [], shown: null, scan: null, other: null, threshold: 0, mask: null, millilitres: 0, beside: "" };
const panes = { main: new Pane(find("main-canvas"), moved), side: new Pane(find("side-canvas"), moved) };
let timer = 0;
let keys = 0;

// ---- what went wrong, and what is new

function complain(error) {
  find("problem").textContent = error instanceof api.ServerError ? `${error.message} (${error.code})` : `the page itself failed: ${error.message}`;
  find("problem").hidden = false;
}

function calm() {
  find("problem").hidden = true;
}

function tell(text) {
  if (text) find("news").textContent = text;
}

// ---- uploads

function take(scans) {
  calm();
  if (scans.length === 0) complain(new api.ServerError({ code: "serve.no_file", message: "no file in what was dropped; expected NIfTI files, zips or a DICOM folder" }, 0));
  for (const scan of scans) state.uploads.push({ ...scan, key: `upload-${keys++}`, files: scan.files.length, members: scan.files, state: "uploading", share: null });
  pump();
}

function pump() {
  const busy = state.uploads.filter((one) => one.abort).length;
  const next = state.uploads.filter((one) => one.state === "uploading" && !one.abort).slice(0, AT_ONCE - busy);
  next.forEach(send);
  redraw();
}

async function send(scan) {
  if (scan.size > state.limits.max_bytes) {
    fail(scan, { code: "serve.too_large", exitCode: 7, message: `the upload is ${size(scan.size)}, more than ${size(state.limits.max_bytes)}; upload one scan, or start the server with a larger --max-mib` });
    return;
  }
  const began = performance.now();
  scan.share = 0;
  const { done, abort } = api.upload({ name: scan.name, files: scan.members }, (sent, all) => {
    scan.share = sent / all;
    scan.secondsLeft = (((performance.now() - began) / 1000) * (all - sent)) / Math.max(sent, 1);
    redraw();
  });
  scan.abort = abort;
  try {
    await done;
    forget(scan);
    tell(`${scan.name} is uploaded`);
    await refresh();
  } catch (error) {
    if (error.code === "serve.broken" && error.status === 0) forget(scan);
    else fail(scan, error);
  }
  pump();
}

function fail(scan, error) {
  scan.abort = null;
  scan.state = "failed";
  scan.error = { code: error.code, exit_code: error.exitCode, message: error.message };
  tell(`${scan.name}: ${error.message}`);
  redraw();
}

function forget(scan) {
  state.uploads = state.uploads.filter((one) => one !== scan);
  redraw();
}

addEventListener("beforeunload", (event) => state.uploads.some((one) => one.state === "uploading") && event.preventDefault());

// ---- the list of scans

const tried = (run) => async (...words) => {
  try {
    calm();
    await run(...words);
  } catch (error) {
    complain(error);
  }
  await refresh();
};

// A scan with a key is an upload of this page, which the server does not know.
const actions = {
  cancel: (scan) => (scan.key ? (scan.abort ?? (() => forget(scan)))() : cancel(scan.id)),
  again: (scan, unchecked) => (scan.key ? retry(scan) : again(scan.id, unchecked)),
  toggle: (scan) => {
    toggleSeries(scan.id);
    redraw();
  },
  choose: (scan, choice) => {
    if (scan.id === state.shown) hide();
    return again(scan.id, false, choice.id);
  },
  remove: (scan) => (scan.key ? forget(scan) : remove(scan.id)),
  show: (scan) => show(scan.id).then(() => find("viewer-title").focus()),
};
const cancel = tried(api.cancel);
const again = tried(api.again);
const remove = tried(async (id) => {
  await api.remove(id);
  find("choose-files").focus();
  tell("deleted");
});

function retry(scan) {
  Object.assign(scan, { state: "uploading", share: null, error: null });
  pump();
}

function redraw() {
  draw(state.uploads, state.scans, actions, state.shown);
}

async function refresh() {
  clearTimeout(timer);
  try {
    const before = new Map(state.scans.map((scan) => [scan.id, scan.state]));
    state.scans = (await api.scans()).scans;
    if (find("problem").dataset.lost) calm();
    delete find("problem").dataset.lost;
    tell(news(before, state.scans));
    redraw();
    offer();
    if (state.shown && !state.scans.some((scan) => scan.id === state.shown)) hide();
  } catch (error) {
    complain(error);
    find("problem").dataset.lost = "yes";
  }
  const busy = state.scans.some((scan) => scan.state === "running" || scan.state === "waiting");
  clearTimeout(timer);
  timer = setTimeout(refresh, busy ? BUSY_MS : IDLE_MS);
}

// ---- the scan that is shown

function hide() {
  state.shown = state.scan = null;
  find("viewer").hidden = true;
  history.replaceState(null, "", location.pathname);
  redraw();
}

async function show(id) {
  const named = state.scans.find((scan) => scan.id === id && scan.state === "done");
  if (!named) return hide();
  state.shown = id;
  history.replaceState(null, "", `#scan=${id}`);
  redraw();
  find("viewer").setAttribute("aria-busy", "true");
  try {
    calm();
    const scan = await load(id);
    if (state.shown !== id) return;
    state.scan = scan;
    state.other = null;
    state.beside = "";
    find("viewer").hidden = false;
    find("viewer-title").textContent = named.name;
    await describe(scan);
    offer();
    setThreshold(scan.figures.threshold);
    await showPanes();
    find("viewer").scrollIntoView({ block: "start" });
  } catch (error) {
    complain(error);
  } finally {
    find("viewer").removeAttribute("aria-busy");
    document.body.dataset.shown = id;
  }
}

function look() {
  return { threshold: state.threshold, opacity: find("opacity").value / 100, segmentation: find("show-segmentation").checked, layout: find("layout").value };
}

async function showPanes() {
  try {
    await panes.main.show(state.scan, "flair", state.mask, look());
    find("no-viewer").hidden = find("overview").hidden = true;
    await showBeside();
    panes.main.go(state.scan.figures.start_voxel);
  } catch (error) {
    find("no-viewer").textContent = `The viewer could not be started (${error.message}). The figures and the picture do without it.`;
    find("no-viewer").hidden = find("overview").hidden = false;
    find("overview").src = api.fileAddress(state.scan.id, "overview.png");
    find("frames").hidden = true;
  }
}

async function describe(scan) {
  const { figures } = scan;
  find("warnings").replaceChildren(...figures.warnings.map((text) => element("li", inThePage(text))));
  find("warnings").hidden = figures.warnings.length === 0;
  find("risks").replaceChildren(
    ...figures.risks.map(({ title, text }) => {
      const item = element("li", ` ${text}`);
      item.prepend(element("b", `${title}:`));
      return item;
    }),
  );
  find("risks-title").hidden = find("risks").hidden = figures.risks.length === 0;
  find("brain").textContent = figures.brain_ml.toFixed(0);
  find("unit").textContent = figures.map_unit;
  find("range").textContent = figures.range.toPrecision(3);
  find("reset").textContent = `Reset to ${Number(figures.threshold.toPrecision(4))}`;
  find("stored").textContent = `${Number(figures.threshold.toPrecision(4))} (${figures.anomalous_ml.toFixed(1)} mL)`;
  find("point-control").hidden = !POINTS.every((name) => name in figures.points);
  find("confidence").textContent = figures.confidence_sentence;
  find("sentences").textContent = [figures.threshold_sentence, figures.map_sentence, figures.returned_sentence].join(" ");
  find("download").href = api.downloadAddress(scan.id);
  find("report").href = api.fileAddress(scan.id, "report.html");
  const files = await api.files(scan.id);
  find("result-files").replaceChildren(
    ...files.map((file) => {
      const item = element("li", "");
      const link = element("a", file.name);
      link.href = api.fileAddress(scan.id, file.name);
      link.download = "";
      item.append(link, ` ${size(file.size)}`);
      return item;
    }),
  );
}

function element(kind, text) {
  const made = document.createElement(kind);
  made.textContent = text;
  return made;
}

// ---- threshold, operating point, regions

function setThreshold(value) {
  if (!Number.isFinite(value) || !state.scan) return;
  const { figures } = state.scan;
  state.threshold = value;
  Object.assign(state, above(state.scan, value));
  const moved = value !== figures.threshold;
  const millilitres = state.millilitres.toFixed(1);
  find("volume").textContent = millilitres;
  find("value").value = String(Number(value.toPrecision(4)));
  find("threshold").value = String(Math.round((STEPS * value) / figures.range));
  find("threshold").setAttribute("aria-valuetext", `${value.toPrecision(3)}, ${millilitres} mL`);
  find("reset").disabled = !moved;
  find("moved").hidden = !moved;
  find("healthy").textContent = healthyText(figures);
  showPoint(figures);
  showRegions();
  showDifference();
}

function healthyText(figures) {
  if (Object.keys(figures.healthy_quantiles).length === 0) return "";
  const [least, most] = healthyAbove(state.threshold, figures.healthy_quantiles);
  const share = least === 0 ? `less than ${most} %` : most === 100 ? `more than ${least} %` : `${least} to ${most} %`;
  return `Of healthy brain, ${share} lies above it.`;
}

function showPoint(figures) {
  const name = POINTS.find((one) => figures.points[one]?.threshold === state.threshold);
  find("point-name").textContent = name ?? "none, the threshold was moved";
  find("point-meaning").textContent = name ? figures.points[name].meaning : "";
  if (name) find("point").value = String(POINTS.indexOf(name));
  find("point").setAttribute("aria-valuetext", name ? `${name}, ${state.millilitres.toFixed(1)} mL` : "none");
}

function showRegions() {
  const found = regions(state.scan, state.mask);
  const confident = found.some((one) => one.confidence);
  find("confidence-title").hidden = !confident;
  find("confidence").hidden = !confident;
  find("lesions-text").textContent = found.length === 0 ? "Nothing lies above the threshold." : `${found.length} in all${found.length > MOST_REGIONS ? `, the ${MOST_REGIONS} largest are listed` : ""}. Peak and mean of the map: ${state.scan.figures.map_unit}.`;
  const rows = found.slice(0, MOST_REGIONS).map((one, n) => {
    const row = document.createElement("tr");
    const cells = [n + 1, one.millilitres.toFixed(2), one.peak.toPrecision(3), one.mean.toPrecision(3)];
    row.append(...cells.map((text) => element("td", text)));
    if (confident) row.append(element("td", one.confidence));
    const button = element("button", "show");
    button.type = "button";
    button.setAttribute("aria-label", `Show region ${n + 1}, ${one.millilitres.toFixed(2)} mL`);
    button.addEventListener("click", () => {
      if (panes.main.viewer) panes.main.go(one.voxel);
      for (const other of find("lesions").children) other.toggleAttribute("data-chosen", other === row);
    });
    const cell = document.createElement("td");
    cell.append(button);
    row.append(cell);
    return row;
  });
  find("lesions").replaceChildren(...rows);
}

let waits = false;

/** Draw at the next frame, once for all changes until then. */
function schedule() {
  if (waits) return;
  waits = true;
  requestAnimationFrame(() => {
    waits = false;
    if (panes.main.scan) panes.main.renew(state.mask, look());
    if (!panes.side.scan || find("frame-side").hidden) return;
    panes.side.renew(state.other ? above(state.other, state.threshold).mask : state.mask, look());
  });
}

function change(value) {
  setThreshold(value);
  schedule();
}

find("threshold").addEventListener("input", (event) => change((Number(event.target.value) / STEPS) * state.scan.figures.range));
find("value").addEventListener("change", (event) => change(event.target.value === "" ? NaN : Number(event.target.value)));
find("reset").addEventListener("click", () => change(state.scan.figures.threshold));
find("point").addEventListener("input", (event) => change(state.scan.figures.points[POINTS[event.target.value]].threshold));
find("show-segmentation").addEventListener("change", schedule);
find("opacity").addEventListener("input", (event) => Object.values(panes).forEach((pane) => pane.scan && pane.opacity(event.target.value / 100)));
find("layout").addEventListener("change", (event) => Object.values(panes).forEach((pane) => pane.viewer && pane.layout(event.target.value)));

// ---- beside it: the reconstructed image, or another scan

function offer() {
  if (!state.scan) return;
  const others = state.scans.filter((scan) => scan.state === "done" && scan.id !== state.shown);
  const options = [["", "nothing"]];
  if (state.scan.figures.volumes.includes("returned")) options.push(["returned", "reconstructed image x′"]);
  options.push(...others.map((scan) => [scan.id, `other scan: ${scan.name}`]));
  const wanted = JSON.stringify(options);
  const list = find("beside");
  if (list.dataset.wanted !== wanted) {
    list.dataset.wanted = wanted;
    list.replaceChildren(...options.map(([value, text]) => new Option(text, value)));
  }
  if (!options.some(([value]) => value === state.beside)) chooseBeside("");
  list.value = state.beside;
}

async function chooseBeside(value) {
  state.beside = value;
  state.other = null;
  try {
    if (value !== "" && value !== "returned") state.other = await load(value);
    await showBeside();
  } catch (error) {
    complain(error);
  }
}

async function showBeside() {
  const shown = state.beside !== "";
  find("frame-side").hidden = !shown;
  showDifference();
  if (!shown) return;
  const name = state.scans.find((scan) => scan.id === state.beside)?.name;
  find("side-caption").textContent = state.other ? `${name}: in the same part of the head, not registered` : "Reconstructed image x′, in the grey scale of x";
  if (state.other) await panes.side.show(state.other, "flair", above(state.other, state.threshold).mask, look());
  else await panes.side.show(state.scan, "returned", state.mask, look());
  if (panes.main.scan) panes.side.follow(panes.main.fraction);
  document.body.dataset.beside = state.beside;
}

function showDifference() {
  find("difference").hidden = !state.other;
  if (!state.other) return;
  const before = above(state.other, state.threshold).millilitres;
  const more = state.millilitres - before;
  find("difference").textContent = `${state.millilitres.toFixed(1)} mL here, ${before.toFixed(1)} mL there at the same threshold: ${more < 0 ? "−" : "+"}${Math.abs(more).toFixed(1)} mL.`;
}

find("beside").addEventListener("change", (event) => chooseBeside(event.target.value));

function moved(place, pane) {
  const other = pane === panes.main ? panes.side : panes.main;
  if (other.scan && !find("frame-side").hidden) other.follow(pane.fraction);
  if (pane !== panes.main) return;
  const { figures, shape, map, brain } = state.scan;
  const voxel = place.vox.map(Math.round);
  const index = voxel[0] + shape[0] * (voxel[1] + shape[1] * voxel[2]);
  const [x, y, z] = Array.from(place.mm).map((value) => value.toFixed(1));
  const value = brain[index] ? `map ${map[index].toPrecision(3)}` : "outside the brain";
  find("location").textContent = `Slice ${figures.first_slice + voxel[2] + 1} of ${figures.slices} · R ${x}, A ${y}, S ${z} mm · ${value}`;
}

// ---- begin

async function begin() {
  listen(take);
  try {
    await api.showToken();
    const { limits, version } = await api.about();
    state.limits = limits;
    find("version").textContent = version;
    find("limits").textContent = `At most ${size(limits.max_bytes)} each; deleted ${limits.keep_h} h after they are done.`;
  } catch (error) {
    complain(error);
    find("drop").hidden = true;
    return;
  }
  await refresh();
  const wanted = new URLSearchParams(location.hash.slice(1)).get("scan");
  if (wanted) await show(wanted);
}

globalThis.mmccd = { state, panes, take, show };
await begin();
document.body.dataset.ready = "yes";
