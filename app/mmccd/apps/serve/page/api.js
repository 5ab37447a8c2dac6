// What the page asks the server for. An error is an Error with the server's code and exit code.

export class ServerError extends Error {
  constructor(problem, status) {
    super(problem.message);
    this.code = problem.code;
    this.exitCode = problem.exit_code;
    this.status = status;
  }
}

const LOST = { code: "serve.lost", exit_code: 1, message: "the server does not answer; is 'mmccd serve' still running?" };

function problemOf(text) {
  try {
    return JSON.parse(text).error ?? LOST;
  } catch {
    return LOST;
  }
}

async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { credentials: "same-origin", ...options });
  } catch {
    throw new ServerError(LOST, 0);
  }
  if (!answer.ok) throw new ServerError(problemOf(await answer.text()), answer.status);
  return answer;
}

const json = async (path, options) => (await ask(path, options)).json();

/** Trade a token in the address for a cookie, and take it out of the address. */
export async function showToken() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!token) return;
  history.replaceState(null, "", location.pathname);
  await ask("/api/session", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ token }),
  });
}

export const about = () => json("/api/about");
export const scans = () => json("/api/scans");
export const files = (id) => json(`/api/scans/${id}/files`);
export const cancel = (id) => ask(`/api/scans/${id}/cancel`, { method: "POST" });
export const remove = (id) => ask(`/api/scans/${id}`, { method: "DELETE" });
export const again = (id, unchecked, series) => ask(`/api/scans/${id}/again?unchecked=${unchecked}${series ? `&series=${series}` : ""}`, { method: "POST" });
export const figures = (id) => json(`/api/scans/${id}/view/viewer.json`);
export const fileAddress = (id, name) => `/api/scans/${id}/files/${name}`;
export const downloadAddress = (id) => `/api/scans/${id}/download`;

export async function volume(id, name) {
  const answer = await ask(`/api/scans/${id}/view/${name}.nii.gz`);
  // Whole first: a stream that ends with the gzip's last byte breaks the request off.
  const stream = (await answer.blob()).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

/** Upload a scan; `progress` is called with bytes sent and bytes in all. Returns a promise, and what breaks it off. */
export function upload(scan, progress) {
  const request = new XMLHttpRequest();
  const done = new Promise((resolve, reject) => {
    const form = new FormData();
    form.append("name", scan.name);
    for (const file of scan.files) form.append("files", file, file.name);
    request.open("POST", "/api/scans");
    request.upload.addEventListener("progress", (event) => progress(event.loaded, event.total));
    request.addEventListener("load", () => {
      if (request.status === 201) resolve(JSON.parse(request.responseText));
      else reject(new ServerError(problemOf(request.responseText), request.status));
    });
    request.addEventListener("error", () => reject(new ServerError(LOST, 0)));
    request.addEventListener("abort", () => reject(new ServerError({ ...LOST, code: "serve.broken", message: "cancelled" }, 0)));
    request.send(form);
  });
  return { done, abort: () => request.abort() };
}
