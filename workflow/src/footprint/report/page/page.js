"use strict";
// The page of the report: one scope at a time, from the data in the element `data`.
const DATA = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const SCOPES = new Map(DATA.scopes.map((scope) => [scope.id, scope]));
const PHASE = new Map(DATA.phases.map((phase, place) => [phase.phase, { ...phase, place }]));
const DETAILED = new Set(DATA.detailed);
const COLUMN = new Map((DATA.runs?.columns ?? []).map((name, place) => [name, place]));
const ROWS_AT_ONCE = 50;
const views = new Map();
let scope = DATA.scopes[0];
let sorted = { name: "total_kwh", descending: true };
let shownRows = ROWS_AT_ONCE;
let tableRows = [];

function element(tag, text, attributes = {}) {
  const made = document.createElement(tag);
  if (text !== undefined && text !== null) made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

// Charts --------------------------------------------------------------------------------------

function look() {
  const read = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const ink = read("--ink"), soft = read("--soft"), line = read("--line");
  return {
    background: null,
    axis: { labelColor: ink, titleColor: soft, domainColor: soft, tickColor: soft, gridColor: line,
      labelFontSize: 12, titleFontSize: 12, titleFontWeight: 400 },
    view: { stroke: null },
    style: { cell: { stroke: null } },
  };
}

const tip = element("div", "", { id: "tip", "aria-hidden": "true" });
tip.style.cssText = "position:fixed;z-index:9;pointer-events:none;display:none;white-space:pre;" +
  "background:#1a1a1a;color:#fff;padding:6px 10px;border-radius:6px;font-size:13px";
document.body.append(tip);

function showTip(handler, event, item, value) {
  const has = value !== null && value !== undefined && value !== "";
  tip.style.display = has ? "block" : "none";
  if (!has) return;
  tip.textContent = Object.entries(value).map(([name, text]) => `${name}: ${text}`).join("\n");
  tip.style.left = `${Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8)}px`;
  tip.style.top = `${event.clientY + 16}px`;
}

function draw(name, data, description) {
  const place = byId(name);
  place.setAttribute("aria-label", description);
  place.chart = { data, description };
  if (!window.vegaEmbed) return;
  if (!views.has(name)) {
    const spec = DATA.charts[name];
    const sets = spec.data.map((set) => (set.name in data ? { ...set, values: data[set.name] } : set));
    views.set(name, window.vegaEmbed(place, { ...spec, data: sets }, {
      mode: "vega", renderer: "svg", actions: false, defaultStyle: false, config: look(),
      tooltip: showTip, hover: true,
    }));
    place.drawn = data;
  }
  views.get(name).then(({ view }) => {
    if (place.chart.data !== data || place.drawn === data) return;
    place.drawn = data;
    for (const [set, rows] of Object.entries(data)) view.data(set, rows);
    view.resize().runAsync();
  });
}

function redrawAll() {
  for (const name of Object.keys(DATA.charts)) {
    const chart = byId(name)?.chart;
    if (!chart) continue;
    views.get(name)?.then((made) => made.finalize());
    views.delete(name);
    draw(name, chart.data, chart.description);
  }
}

// Scope ---------------------------------------------------------------------------------------

function showScope() {
  byId("scope").value = scope.id;
  byId("title").textContent = scope.title;
  byId("cards").replaceChildren(...scope.cards.map((card) => {
    const box = element("div", null, { class: "card" });
    box.append(element("h3", card.label), element("strong", card.value), element("p", card.note));
    return box;
  }));
  showPhases();
  if (DATA.bars) showTimeline();
  const methods = scope.methods.map((row) => ({ ...row, label: `${row.name}: ${row.text}` }));
  draw("methods", { rows: methods },
    methods.length ? `Energy by method. ${methods.map((row) => row.label).join("; ")}.`
      : "No method covers time with readings.");
  byId("statement").textContent = scope.sentence;
  showBudget();
  shownRows = ROWS_AT_ONCE;
  if (DATA.runs) showRuns();
}

function showPhases() {
  const rows = scope.phases.map((row) => ({ ...row, place: PHASE.get(row.phase).place }));
  const texts = rows.map((row) => `${row.name} ${row.text}`);
  draw("phases", { rows }, texts.length ? `Energy by phase: ${texts.join("; ")}.`
    : "The energy of no phase is known.");
  byId("phase-key").replaceChildren(...rows.map((row) => {
    const item = element("li");
    const mark = element("i");
    mark.style.background = PHASE.get(row.phase).colour;
    item.append(mark, `${row.name} ${row.text}`);
    return item;
  }));
}

function showTimeline() {
  const every = DATA.bars.every;
  const rows = (DATA.bars.rows[scope.id] ?? []).map(([bar, end, phase, kwh, text]) => ({
    bar: Date.parse(bar), bar_end: Date.parse(end), day: bar, phase, kwh, text,
    name: PHASE.get(phase).name,
  }));
  const tops = new Map();
  for (const row of rows) {
    row.from_kwh = tops.get(row.day) ?? 0;
    row.to_kwh = row.from_kwh + row.kwh;
    tops.set(row.day, row.to_kwh);
  }
  byId("time-heading").textContent = `Energy per ${every}`;
  const [day, most] = [...tops].reduce((a, b) => (b[1] > a[1] ? b : a), ["", 0]);
  draw("timeline", { rows }, rows.length
    ? `Energy per ${every} by phase; the most, ${format(most)} kWh, from ${day}.`
    : "No energy is known.");
}

function showBudget() {
  const has = scope.budget.length > 0;
  byId("budget-note").textContent = has
    ? "Share of the variance of the total, and the interval (95 %) if the source alone varied. " +
      "A: evaluated from data of this study; B: from other knowledge (JCGM 100)."
    : "The uncertainty budget is made for the site and for papers: select one of them.";
  const table = byId("budget");
  table.replaceChildren();
  if (!has) return;
  const head = table.createTHead().insertRow();
  for (const text of ["Source", "Evaluation", "Share", "Interval of the total"]) {
    head.append(element("th", text, { scope: "col" }));
  }
  const body = table.createTBody();
  for (const cells of scope.budget) {
    const row = body.insertRow();
    for (const cell of cells) row.insertCell().textContent = cell;
  }
}

// Runs ----------------------------------------------------------------------------------------

function format(number) {
  if (number === null || number === undefined) return "";
  if (number === 0) return "0";
  const size = Math.floor(Math.log10(Math.abs(number)));
  if (size < -3) return "< 0.001";
  const rounded = Number(number.toPrecision(3));
  const text = rounded.toFixed(Math.max(0, 2 - Math.floor(Math.log10(Math.abs(rounded)))));
  return text.replace(/\B(?=(\d{3})+(?!\d))(?<!\.\d*)/g, "\u202f");
}

function isInScope(row) {
  const [level] = scope.id.split(":", 1);
  return level === "site" || row[COLUMN.get(level)] === scope.name;
}

function showRuns() {
  const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const own = DATA.runs.rows.filter(isInScope);
  tableRows = own.filter((row) => {
    const text = row.join(" ").toLowerCase();
    return words.every((word) => text.includes(word));
  });
  const place = COLUMN.get(sorted.name);
  const sign = sorted.descending ? -1 : 1;
  tableRows.sort((a, b) => {
    const [x, y] = [a[place], b[place]];
    if (x === null || y === null) return (x === null) - (y === null);
    return sign * (x < y ? -1 : x > y ? 1 : 0);
  });
  const things = DATA.runs.single ? "runs" : "weeks of a person and phase";
  byId("runs-count").textContent = tableRows.length === own.length
    ? `${own.length} ${things}` : `${tableRows.length} of ${own.length} ${things}`;
  byId("runs-note").textContent = DATA.runs.single
    ? "A run is a job, or a chain of jobs that resume one another. Low and high: 95 % interval. " +
      "Select a run with a link for its power and the reasons for its kind."
    : "The study has too many runs to list one by one: rows are weeks of a person, team and phase.";
  drawTable();
}

function drawTable() {
  const table = byId("runs");
  table.replaceChildren();
  const head = table.createTHead().insertRow();
  DATA.runs.headers.forEach((text, at) => {
    const name = DATA.runs.columns[at];
    const cell = element("th", null, { scope: "col" });
    if (DATA.runs.numbers.includes(name)) cell.className = "number";
    if (sorted.name === name) {
      cell.setAttribute("aria-sort", sorted.descending ? "descending" : "ascending");
    }
    const button = element("button", text, { type: "button" });
    button.addEventListener("click", () => {
      const descending = sorted.name === name ? !sorted.descending
        : DATA.runs.numbers.includes(name);
      sorted = { name, descending };
      showRuns();
      byId("runs").tHead.rows[0].cells[at].querySelector("button").focus();
    });
    cell.append(button);
    head.append(cell);
  });
  const body = table.createTBody();
  for (const row of tableRows.slice(0, shownRows)) {
    const line = body.insertRow();
    row.forEach((value, at) => {
      const name = DATA.runs.columns[at];
      const cell = line.insertCell();
      if (name === "run_id") {
        const has = DETAILED.has(value);
        const shown = has ? element("button", value, { type: "button" }) : element("span", value);
        if (has) shown.addEventListener("click", () => openRun(value));
        cell.append(shown);
      } else if (DATA.runs.numbers.includes(name)) {
        cell.className = "number";
        cell.textContent = format(value);
      } else {
        cell.textContent = value ?? "";
      }
    });
  }
  byId("more").hidden = shownRows >= tableRows.length;
}

function csvText() {
  const cell = (value) => {
    if (value === null || value === undefined) return "";
    if (typeof value === "number") return String(value);
    const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
    return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  const rows = [DATA.runs.headers, ...tableRows];
  return rows.map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}

// A run ---------------------------------------------------------------------------------------

let details = null;

function openRun(id) {
  details ??= JSON.parse(byId("details").textContent);
  const own = details[id];
  const row = DATA.runs.rows.find((each) => each[0] === Number(id));
  if (!own || !row) return;
  const value = (name) => row[COLUMN.get(name)];
  byId("run-title").textContent = `Run ${id}: ${value("kind")}`;
  byId("run-facts").textContent = [
    `${format(value("total_kwh"))} kWh` + (value("total_low_kwh") === null ? ""
      : ` (95 %: ${format(value("total_low_kwh"))} to ${format(value("total_high_kwh"))})`),
    `${format(value("duration_h"))} h`, `${format(value("gpu_hours"))} GPU hours`,
    `phase ${value("phase")}`, `${own.jobs.length} job${own.jobs.length > 1 ? "s" : ""}`,
    value("clusters"), value("paper") ? `paper ${value("paper")}` : "",
  ].filter(Boolean).join(" · ");
  const { trace } = own;
  const rows = trace.power_w.map((watts, at) => ({
    time: (trace.start_s + at * trace.step_s) * 1000, power_w: watts,
  }));
  const spans = trace.spans.map(([since, until]) => ({ since: since * 1000, until: until * 1000 }));
  byId("run").showModal();
  draw("power", { rows, spans },
    `Power of ${trace.nodes.join(", ")}: means over ${Math.round(trace.step_s / 60)} minutes.`);
  byId("power-note").textContent = `Power of ${trace.nodes.join(", ")} as a whole, by means over ` +
    `${Math.round(trace.step_s / 60)} minutes; shaded: the time of the run. Gaps have no readings. ` +
    "Other jobs may have shared the nodes.";
  const chances = Object.entries(own.chances).sort((a, b) => b[1] - a[1]);
  byId("chances").replaceChildren(...chances.map(([kind, chance]) => {
    const item = element("li");
    const name = DATA.kinds[kind] ?? kind;
    item.append(element("span", name),
      element("meter", null, { min: 0, max: 1, value: chance, "aria-label": name }),
      element("span", `${Math.round(100 * chance)}\u202f%`));
    return item;
  }));
  byId("reasons").textContent = `Source of the kind: ${own.rule}.` +
    (own.features ? ` Weighed most: ${own.features}.` : "");
  const kinds = Object.entries(DATA.kinds).find(([, name]) => name === value("kind"));
  byId("label").textContent = [
    `- jobs: [${own.jobs.join(", ")}]`,
    ...(value("paper") ? [`  paper: ${JSON.stringify(value("paper"))}`] : []),
    `  kind: ${kinds ? kinds[0] : value("kind")}`,
  ].join("\n");
  setHash(id);
}

// Addresses -----------------------------------------------------------------------------------

function setHash(run) {
  const hash = `#${encodeURIComponent(scope.id)}${run ? `/run/${run}` : ""}`;
  if (location.hash !== hash) history.replaceState(null, "", hash);
}

function readHash() {
  const [name, kind, id] = location.hash.slice(1).split("/");
  const found = SCOPES.get(decodeURIComponent(name ?? ""));
  if (!found) return;
  scope = found;
  showScope();
  if (kind === "run") openRun(id);
}

async function copy(text, button) {
  const label = button.dataset.label ?? (button.dataset.label = button.textContent);
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Select the text and copy it";
  }
  setTimeout(() => { button.textContent = label; }, 2000);
}

// Figures -------------------------------------------------------------------------------------

async function showFigures() {
  const packed = JSON.parse(byId("figures").textContent);
  for (const place of document.querySelectorAll("[data-figure]")) {
    const bytes = Uint8Array.from(atob(packed[place.dataset.figure]), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const svg = await new Response(stream).blob();
    const image = place.querySelector("img");
    image.src = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
    await image.decode().catch(() => {});
  }
  document.documentElement.dataset.figures = "shown";
}

byId("scope").addEventListener("change", (event) => {
  scope = SCOPES.get(event.target.value);
  showScope();
  setHash();
});
function listen(id, event, action) {
  byId(id)?.addEventListener(event, action);
}

listen("search", "input", () => { shownRows = ROWS_AT_ONCE; showRuns(); });
listen("more", "click", () => { shownRows += 200; drawTable(); });
listen("csv", "click", () => {
  const link = element("a", "", { download: `${scope.name.replace(/[^\w-]+/g, "_")}.csv` });
  link.href = URL.createObjectURL(new Blob([csvText()], { type: "text/csv" }));
  link.click();
  URL.revokeObjectURL(link.href);
});
byId("link").addEventListener("click", (event) => { setHash(); copy(location.href, event.target); });
byId("copy-statement").addEventListener("click", (event) => copy(scope.sentence, event.target));
listen("copy-label", "click", (event) => copy(byId("label").textContent, event.target));
listen("close", "click", () => byId("run").close());
listen("run", "close", () => setHash());
for (const link of document.querySelectorAll("[data-jump]")) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    document.querySelector(link.getAttribute("href")).scrollIntoView();
  });
}
addEventListener("hashchange", readHash);
document.addEventListener("vega", redrawAll);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawAll);
showScope();
document.addEventListener("DOMContentLoaded", readHash);

// the page can be used before its charts and figures are drawn
addEventListener("load", () => requestAnimationFrame(() => setTimeout(() => {
  const script = element("script", byId("vega").textContent +
    '\ndocument.dispatchEvent(new Event("vega"));', { type: "module" });
  document.body.append(script);
  setTimeout(showFigures, 0);
}, 0)));
