// The list of scans: uploads of this page above those that the server has, newest first.

const STAGES = { read: "reads the image", brain: "looks for the brain", check: "checks the image", score: "scores the slices", write: "writes the results" };
const SHARES = { read: 0.02, brain: 0.1, check: 0.25, score: 0.3, write: 0.85 };
const ENDS = { read: 0.1, brain: 0.25, check: 0.3, score: 0.85, write: 0.99 };

/** Scans whose list of series its user has opened. */
const open = new Set();

const STORED = /\b0{6}(\.[a-z0-9]+)+/g;

/** Seconds for people: about 5 s, about 3 min. */
export function duration(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

export function size(bytes) {
  return bytes < 2 ** 20 ? `${Math.ceil(bytes / 1024)} kB` : bytes < 2 ** 30 ? `${(bytes / 2 ** 20).toFixed(1)} MB` : `${(bytes / 2 ** 30).toFixed(1)} GB`;
}

/** Whether nothing is wrong with a scan but that its user has to say which series is meant. */
function needsChoice(scan) {
  return offersChoice(scan) && scan.error?.code === "dicom.several_studies";
}

/** Whether another series may help a scan that was refused. */
function offersChoice(scan) {
  return scan.state === "refused" && scan.choices?.length > 0;
}

/** Open or close the list of a scan's series. */
export function toggleSeries(id) {
  if (!open.delete(id)) open.add(id);
}

/** A series as people call it. */
function seriesName({ number, description }) {
  return `${number === null ? "series" : `series ${number}`}${description ? ` “${description}”` : ""}`;
}

function stateText(scan) {
  if (scan.state === "uploading") {
    const left = scan.secondsLeft == null ? "" : `, about ${duration(scan.secondsLeft)} left`;
    return scan.share == null ? "waits to be uploaded" : `uploading, ${Math.round(100 * scan.share)} %${left}`;
  }
  if (scan.state === "waiting") return `waits, number ${scan.place} in the queue`;
  if (scan.state === "running") {
    const left = scan.seconds_left == null ? "" : ` · about ${duration(scan.seconds_left)} left`;
    return `${STAGES[scan.stage] ?? "begins"}${scan.share == null ? "" : `, ${Math.round(100 * scan.share)} %`}${left}`;
  }
  if (needsChoice(scan)) return "holds several studies: choose a series";
  if (scan.state === "done") return `done in ${duration(scan.seconds)} · ${scan.summary.volumes_ml.anomalous.toFixed(1)} mL above the threshold`;
  return scan.state;
}

function progressOf(scan) {
  if (scan.state === "uploading") return scan.share ?? 0;
  if (scan.state !== "running") return null;
  const from = SHARES[scan.stage] ?? 0;
  return from + (scan.share ?? 0) * ((ENDS[scan.stage] ?? from) - from);
}

function buttonsOf(scan, actions) {
  const cancel = ["Cancel", "cancel", () => actions.cancel(scan)];
  const remove = ["Delete", "delete", () => actions.remove(scan)];
  if (scan.state === "uploading") return [cancel];
  if (scan.state === "waiting" || scan.state === "running") return [cancel, remove];
  const isOpen = open.has(scan.id);
  const other = scan.choices?.length > 1 && !offersChoice(scan) ? [["Other series", "series", () => actions.toggle(scan), isOpen]] : [];
  if (scan.state === "done") return [["Show", "show", () => actions.show(scan)], ...other, remove];
  if (needsChoice(scan)) return [remove];
  const anyway = scan.state === "refused" && scan.error?.exit_code === 4 && !scan.unchecked;
  return [["Do again", "again", () => actions.again(scan, scan.unchecked)], ...(anyway ? [["Go on unchecked", "unchecked", () => actions.again(scan, true)]] : []), ...other, remove];
}

/** A text with what the page calls settings. */
export function inThePage(text) {
  return text.replace(/--unchecked|MMCCD_UNCHECKED=1/g, "“Go on unchecked”").replace(/(--series|MMCCD_SERIES) UID/g, "“Other series”");
}

// The server knows no names: what it calls the scan, and its file, is what the user calls it.
function message(scan) {
  const { code, exit_code: exitCode, message: text } = scan.error;
  const name = () => scan.name;
  const named = scan.id ? text.replaceAll(`scan ${scan.id.slice(0, 8)}`, name).replaceAll(STORED, name) : text;
  return `${inThePage(named)} (${code}, exit code ${exitCode})`;
}

function chosenName(scan) {
  const chosen = scan.choices?.find((choice) => choice.id === scan.series);
  return chosen ? `, ${seriesName(chosen)}` : "";
}

function choiceRow(scan, choice, several, actions) {
  const row = document.createElement("tr");
  row.toggleAttribute("data-chosen", choice.id === scan.series);
  const cell = (...content) => {
    const made = document.createElement("td");
    made.append(...content);
    row.append(made);
    return made;
  };
  cell(choice.date || "no date");
  cell([several ? `patient ${choice.patient}` : "", choice.study_description || `study ${choice.study}`].filter(Boolean).join(", "));
  const series = cell(seriesName(choice));
  if (choice.doubt) {
    const doubt = document.createElement("span");
    doubt.className = "soft";
    doubt.textContent = choice.doubt;
    series.append(doubt);
  }
  cell(`${choice.images} images${choice.plane ? `, ${choice.plane}` : ""}`);
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = choice.id === scan.series ? "Chosen" : "Choose";
  button.disabled = choice.id === scan.series;
  button.dataset.choice = choice.id;
  button.setAttribute("aria-label", `${button.textContent}: ${seriesName(choice)} of ${choice.date || `study ${choice.study}`}, ${scan.name}`);
  button.addEventListener("click", () => {
    open.delete(scan.id);
    actions.choose(scan, choice);
  });
  cell(button);
  return row;
}

function fillChoices(place, scan, actions) {
  const isShown = offersChoice(scan) || (open.has(scan.id) && scan.choices?.length > 0);
  place.hidden = !isShown;
  if (!isShown) return place.replaceChildren();
  const several = scan.choices.some((choice) => choice.patient !== null);
  place.innerHTML = '<p>Choose the series to judge</p><table><thead><tr><th scope="col">Date</th><th scope="col">Study</th><th scope="col">Series</th><th scope="col">Images</th><th scope="col"><span class="unseen">Choose</span></th></tr></thead><tbody></tbody></table>';
  place.querySelector("tbody").replaceChildren(...scan.choices.map((choice) => choiceRow(scan, choice, several, actions)));
}

function renew(item, scan, actions, shown) {
  const wanted = JSON.stringify([scan.state, scan.error, scan.unchecked, scan.choices, scan.series, open.has(scan.id)]);
  item.className = scan.state;
  item.toggleAttribute("data-shown", scan.id === shown);
  const part = (name) => item.querySelector(`.${name}`);
  part("name").textContent = `${scan.name}${scan.files > 1 ? ` (${scan.files} files)` : ""}${chosenName(scan)}${scan.unchecked ? ", unchecked" : ""}`;
  part("state").textContent = stateText(scan);
  const progress = item.querySelector("progress");
  const value = progressOf(scan);
  progress.hidden = value === null;
  if (value !== null) progress.value = value;
  progress.setAttribute("aria-label", `Progress of ${scan.name}`);
  if (item.dataset.wanted === wanted) return; // buttons keep their focus
  item.dataset.wanted = wanted;
  const focused = item.contains(document.activeElement) ? document.activeElement : null;
  part("buttons").replaceChildren(
    ...buttonsOf(scan, actions).map(([text, action, run, expanded]) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = text;
      button.dataset.action = action;
      if (action === "show") button.className = "main";
      button.setAttribute("aria-label", `${text}: ${scan.name}`);
      if (expanded !== undefined) button.setAttribute("aria-expanded", expanded);
      button.addEventListener("click", run);
      return button;
    }),
  );
  if (focused) (part("buttons").querySelector(`[data-action="${focused.dataset.action}"]`) ?? part("buttons").firstChild)?.focus();
  const isProblem = scan.error && !needsChoice(scan);
  part("problem").hidden = !isProblem;
  part("problem").textContent = isProblem ? message(scan) : "";
  fillChoices(part("choices"), scan, actions);
}

function makeItem(key) {
  const item = document.createElement("li");
  item.dataset.scan = key;
  item.innerHTML = '<span class="name"></span><span class="state"></span><span class="buttons"></span><progress max="1" hidden></progress><p class="problem" hidden></p><div class="choices" hidden></div>';
  return item;
}

/** Bring the list up to date. `actions`: cancel, remove, again, toggle, choose, show. */
export function draw(uploads, scans, actions, shown) {
  const list = document.getElementById("scans");
  const all = [...uploads, ...[...scans].reverse()];
  const known = new Map([...list.children].map((item) => [item.dataset.scan, item]));
  const items = all.map((scan) => {
    const key = scan.id ?? scan.key;
    const item = known.get(key) ?? makeItem(key);
    renew(item, scan, actions, shown);
    return item;
  });
  const same = items.length === list.children.length && items.every((item, n) => item === list.children[n]);
  if (!same) list.replaceChildren(...items);
  document.getElementById("no-scans").hidden = all.length > 0;
}

/** What a screen reader is told when a scan's state changes. */
export function news(before, scans) {
  const changed = scans.filter((scan) => before.has(scan.id) && before.get(scan.id) !== scan.state);
  return changed.map((scan) => `${scan.name}: ${scan.error && !needsChoice(scan) ? message(scan) : stateText(scan)}`).join(". ");
}
