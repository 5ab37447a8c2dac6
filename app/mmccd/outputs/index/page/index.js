"use strict";
// Sorts and filters the rows; without it the table stands in the order that it came in.
const table = document.getElementById("cases");
const body = table.tBodies[0];
const heads = [...table.tHead.rows[0].cells];

function valueOf(row, column, asText) {
  const text = row.cells[column].dataset.value ?? "";
  if (asText) return text;
  return text === "" ? null : Number(text);
}

function compare(a, b) {
  if (typeof a === "string") return a.localeCompare(b, undefined, {numeric: true});
  return a - b;
}

function sortBy(column, asText) {
  const head = heads[column];
  const first = asText ? "ascending" : "descending";
  const other = asText ? "descending" : "ascending";
  const direction = head.getAttribute("aria-sort") === first ? other : first;
  const sign = direction === "ascending" ? 1 : -1;
  const rows = [...body.rows].map((row) => [valueOf(row, column, asText), row]);
  // What has no value is last, whatever the direction.
  rows.sort(([a], [b]) => (a === null || b === null ? (a === null) - (b === null) : sign * compare(a, b)));
  body.append(...rows.map(([, row]) => row));
  heads.forEach((one) => one.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", direction);
}

heads.forEach((head, column) => {
  const button = head.querySelector("button");
  if (button) button.addEventListener("click", () => sortBy(column, button.dataset.sort === "text"));
});

const filter = document.getElementById("filter");
filter.addEventListener("input", () => {
  const wanted = filter.value.trim().toLowerCase();
  let count = 0;
  for (const row of body.rows) {
    row.hidden = !row.textContent.toLowerCase().includes(wanted);
    count += row.hidden ? 0 : 1;
  }
  document.getElementById("shown").textContent = wanted ? `${count} of ${body.rows.length} shown` : "";
});
document.body.dataset.ready = "";
