// From what was dropped or chosen to scans: each image or archive is one, and all other files of a drop, or of a folder, are one DICOM study.

const SINGLE = /\.(nii(\.(gz|bz2|xz))?|nrrd|nhdr|mha|mhd|mgz|mgh|zip|tar(\.(gz|bz2|xz))?|tgz)$/i;
const IGNORED = /^(\..*|thumbs\.db|desktop\.ini)$/i;

async function readEntries(reader) {
  const found = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return found;
    found.push(...some);
  }
}

async function filesBelow(entry) {
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const entries = await readEntries(entry.createReader());
  return (await Promise.all(entries.map(filesBelow))).flat();
}

/** Scans of files that belong together: [{name, files, size}]. */
export function group(files, folder) {
  const wanted = files.filter((file) => !IGNORED.test(file.name) && file.size > 0);
  const made = (name, members) => ({ name, files: members, size: members.reduce((sum, one) => sum + one.size, 0) });
  const single = wanted.filter((file) => SINGLE.test(file.name));
  const others = wanted.filter((file) => !SINGLE.test(file.name));
  const scans = single.map((file) => made(file.name, [file]));
  if (others.length > 0) scans.push(made(folder || others[0].name, others));
  return scans;
}

async function scansOf(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (entries.length === 0) return group([...transfer.files], "");
  const loose = (await Promise.all(entries.filter((one) => one.isFile).map(filesBelow))).flat();
  const folders = entries.filter((one) => one.isDirectory);
  const scans = loose.length > 0 ? group(loose, "") : [];
  for (const folder of folders) scans.push(...group(await filesBelow(folder), folder.name));
  return scans;
}

/** Calls `take` with the scans of each drop and each choice. */
export function listen(take) {
  const zone = document.getElementById("drop");
  const files = document.getElementById("files");
  const folder = document.getElementById("folder");
  const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
  // Beside the zone, too: a browser would leave the page for the file.
  document.addEventListener("dragover", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    zone.classList.add("over");
  });
  document.addEventListener("dragleave", (event) => event.relatedTarget === null && zone.classList.remove("over"));
  document.addEventListener("drop", async (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    zone.classList.remove("over");
    take(await scansOf(event.dataTransfer));
  });
  document.getElementById("choose-files").addEventListener("click", () => files.click());
  document.getElementById("choose-folder").addEventListener("click", () => folder.click());
  files.addEventListener("change", () => {
    take(group([...files.files], ""));
    files.value = "";
  });
  folder.addEventListener("change", () => {
    const chosen = [...folder.files];
    take(group(chosen, chosen[0]?.webkitRelativePath.split("/")[0] ?? ""));
    folder.value = "";
  });
}
