// The table of the comparison: sorted by any column, the best of each marked.

function best(column) {
  if (!column.better) return null;
  const values = DATA.rows.map((row) => row[column.key]).filter((v) => typeof v === "number");
  if (values.length < 2) return null;
  return column.better === "high" ? Math.max(...values) : Math.min(...values);
}

function spread(row, most) {
  const at = (v) => 2 + (116 * v) / most;
  return s(
    "svg",
    { class: `spread ${colour(row.model)}`, viewBox: "0 0 120 12", width: 120, height: 12,
      "aria-hidden": "true" },
    s("line", { class: "rail", x1: 2, x2: 118, y1: 6, y2: 6 }),
    s("line", { class: "whisker", x1: at(row.AP_low), x2: at(row.AP_high), y1: 6, y2: 6 }),
    s("circle", { class: "dot", cx: at(row.AP), cy: 6, r: 4 }),
  );
}

function cell(row, column, top, most) {
  const value = row[column.key];
  if (column.key === "model") {
    return h("th", { scope: "row" },
      h("span", { class: `key ${colour(row.model)}`, "aria-hidden": "true" }), short(row.model));
  }
  const text = typeof value === "number" ? number(value, column.digits) : value || "–";
  const marked = top && value === top;
  const parts = [marked ? h("strong", { title: "the best of this column" }, text) : text];
  if (column.key === "AP" && row.AP_low !== null && value !== null) {
    const range = `${number(row.AP_low, 3)} – ${number(row.AP_high, 3)}`;
    parts.push(h("span", { class: "range" }, range), spread(row, most));
  }
  return h("td", {}, parts);
}

function drawTable() {
  const place = document.getElementById("table");
  const whole = DATA.rows.filter((row) => !row.failed);
  const state = { key: null, down: true };
  const most = Math.max(0.05, ...whole.map((row) => row.AP_high || row.AP || 0));
  const body = h("tbody");
  const heads = DATA.columns.map((column) => {
    const button = h("button", {
      type: "button",
      title: column.about,
      click: () => sortBy(column),
    }, column.title, h("span", { class: "arrow", "aria-hidden": "true" }));
    return h("th", { scope: "col", "aria-sort": "none", "data-key": column.key }, button);
  });

  function sortBy(column) {
    const first = column.key !== "model" && column.better !== "low";
    state.down = state.key === column.key ? !state.down : first;
    state.key = column.key;
    show();
  }

  function show() {
    const rows = [...whole];
    if (state.key) {
      const gone = state.down ? -Infinity : Infinity;
      rows.sort((a, b) => {
        const [x, y] = [a[state.key] ?? gone, b[state.key] ?? gone];
        const order = typeof x === "string" && typeof y === "string" ? x.localeCompare(y)
          : x === y ? 0 : x < y ? -1 : 1;
        return state.down ? -order : order;
      });
    }
    heads.forEach((head) => {
      const mine = head.dataset.key === state.key;
      head.setAttribute("aria-sort", mine ? (state.down ? "descending" : "ascending") : "none");
    });
    body.replaceChildren(...rows.map((row) =>
      h("tr", {}, DATA.columns.map((c) => cell(row, c, best(c), most)))));
  }

  show();
  place.replaceChildren(h("table", {},
    h("thead", {}, h("tr", {}, heads)), body));
  const failed = DATA.rows.filter((row) => row.failed);
  document.getElementById("failed").replaceChildren(
    ...failed.map((row) => h("p", { class: "failed" }, `${row.model} failed: ${row.failed}`)));
}
