// Accuracy against time, time by stage, precision against recall, where objects are lost.

const LEFT = 44;

function axes(width, height, x, y, xs, ys, titles) {
  const bottom = height - 38;
  return s("g", { class: "axes" },
    ys.map((v) => [
      s("line", { x1: LEFT, x2: width - 8, y1: y(v), y2: y(v) }),
      s("text", { x: LEFT - 8, y: y(v) + 4, "text-anchor": "end" }, number(v, v % 1 ? (v * 10) % 1 ? 2 : 1 : 0)),
    ]),
    xs.map((v) => s("text", { x: x(v), y: bottom + 18, "text-anchor": "middle" }, String(v))),
    s("text", { x: (LEFT + width) / 2, y: height - 4, "text-anchor": "middle" }, titles[0]),
    s("text", { x: 2, y: 12 }, titles[1]));
}

// What is drawn at a row: its dot, and its whisker, which a name may rather cross than a dot.
function marksOf(x, top, y, low) {
  return [{ left: x - 7, right: x + 7, top: y - 7, bottom: y + 7, weight: 1 },
    { left: x - 2, right: x + 2, top, bottom: low, weight: 0.3 }];
}

// Where a name beside a dot meets the fewest dots and names: behind or before it, as near as can be.
function free(x, y, wide, busy, room) {
  const meet = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
  let best = null, least = Infinity;
  for (const away of [0, 8, -8, 15, -15, 22, -22, 30, -30, 38, -38, 46, -46, 54, -54]) {
    for (const before of [false, true]) {
      const left = before ? x - 10 - wide : x + 10, top = y + away - 7;
      const place = { left, right: left + wide, top, bottom: top + 14, before, away, weight: 1 };
      const outside = left < room.left || place.right > room.right || top < 0 || place.bottom > room.bottom;
      const met = busy.reduce((sum, other) => sum + (meet(place, other) ? other.weight : 0), outside ? 100 : 0);
      if (met < least) [best, least] = [place, met];
    }
  }
  return best;
}

function drawScatter() {
  const rows = DATA.rows.filter((row) => row.ms && typeof row.AP === "number");
  if (rows.length < 2) return document.getElementById("scatter-box")?.remove();
  chart("scatter", (width) => {
    const height = Math.min(420, Math.max(300, width * 0.5));
    const low = Math.min(...rows.map((r) => r.ms)) / 1.5;
    const high = Math.max(...rows.map((r) => r.ms)) * 2.2;
    const top = Math.max(0.1, ...rows.map((r) => r.AP_high || r.AP)) * 1.05;
    const x = (v) => LEFT + ((width - LEFT - 12) * Math.log(v / low)) / Math.log(high / low);
    const y = (v) => height - 38 - ((height - 64) * v) / top;
    const decades = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000];
    const seen = decades.filter((v) => v >= low && v <= high);
    const busy = rows.flatMap((row) =>
      marksOf(x(row.ms), y(row.AP_high ?? row.AP), y(row.AP), y(row.AP_low ?? row.AP)));
    const points = [...rows].sort((a, b) => b.AP - a.AP).map((row) => {
      const [cx, cy] = [x(row.ms), y(row.AP)];
      const name = short(row.model);
      const place = free(cx, cy, 8.6 * name.length, busy, { left: LEFT, right: width, bottom: height - 38 });
      busy.push(place);
      const about = `${row.model}: AP ${number(row.AP, 3)}, ${milliseconds(row.ms)} ms`;
      return s("g", { class: colour(row.model) }, s("title", {}, about),
        row.AP_low !== null && s("line", {
          class: "whisker", x1: cx, x2: cx, y1: y(row.AP_low), y2: y(row.AP_high) }),
        s("circle", { class: "dot", cx, cy, r: 5.5 }),
        Math.abs(place.away) > 15 && s("line", { class: "leader", x1: cx, y1: cy,
          x2: place.before ? place.right + 2 : place.left - 2, y2: place.bottom - 7 }),
        s("text", { class: "name", x: place.before ? place.right : place.left, y: place.bottom - 3,
          "text-anchor": place.before ? "end" : "start" }, name));
    });
    return s("svg", { width, height, role: "img",
      "aria-label": "AP against milliseconds an image; the table has the numbers" },
      axes(width, height, x, y, seen.filter((v) => width > 500 || String(v)[0] !== "2"),
        ticks(0, top, 5), [width > 480 ? "milliseconds an image, one thread (logarithmic)" : "ms an image (logarithmic)", "AP"]), points);
  });
}

function bars(id, rows, parts, unit, label) {
  // rows: [name, {part: value}]; each is a bar of its parts, on one scale; or, where the largest would
  // leave nothing to see of the smallest, each as long as the others.
  const whole = rows.map(([, values]) => sum(parts.map((p) => values[p.key] || 0)));
  const shares = Math.max(...whole) > 12 * Math.min(...whole);
  chart(id, (width) => {
    const side = width < 560 ? 0 : 190;
    const line = side ? 34 : 54;
    const room = width - side - 76;
    const drawn = rows.map(([name, values], i) => {
      const y = i * line + (side ? 4 : 22);
      let at = side;
      const total = whole[i];
      const most = shares ? total : Math.max(...whole);
      const pieces = parts.map((part) => {
        const value = values[part.key] || 0;
        const length = most ? (room * value) / most : 0;
        const piece = s("g", {}, s("title", {}, `${short(name)}, ${part.title}: ${unit(value)}`),
          s("rect", { class: `part ${part.style}`, x: at, y, width: Math.max(0, length), height: 22 }));
        if (length > 34) {
          piece.append(s("text", { class: "inside", x: at + length / 2, y: y + 15,
            "text-anchor": "middle" }, unit(value)));
        }
        at += length;
        return piece;
      });
      return [s("text", { class: "name", x: side ? side - 10 : 0, y: side ? y + 16 : y - 6,
        "text-anchor": side ? "end" : "start" }, short(name)), pieces,
      s("text", { x: at + 8, y: y + 16 }, unit(total))];
    });
    const key = h("ul", { class: "legend" }, parts.map((part) =>
      h("li", {}, h("span", { class: `swatch ${part.style}`, "aria-hidden": "true" }), part.title)));
    const note = shares ? h("p", { class: "lead" }, "Every bar is a whole; how much that is stands behind it.") : [];
    return h("div", {}, note, key, s("svg", { width, height: rows.length * line + 8, role: "img",
      "aria-label": label }, drawn));
  });
}

function drawStages() {
  const rows = DATA.rows.filter((row) => row.ms).map((row) => [row.model,
    Object.fromEntries(DATA.verbs.map((verb) => [verb, row[`${verb}_ms`]]))]);
  if (!rows.length) return document.getElementById("stages-box")?.remove();
  const parts = DATA.verbs.map((verb, i) => ({ key: verb, title: verb, style: `v${i}` }));
  bars("stages", rows, parts, (v) => `${milliseconds(v)} ms`, "Milliseconds an image by stage");
}

function drawLost() {
  const rows = Object.entries(DATA.lost);
  if (!rows.length) return document.getElementById("lost-box")?.remove();
  const parts = DATA.fates.map((fate, i) => ({ key: fate, title: fate, style: `f${i}` }));
  bars("lost", rows, parts, (v) => number(v, 0), "How far the objects came, by model");
}

function drawCurves() {
  const all = Object.entries(DATA.curves);
  if (!all.length) return document.getElementById("curves-box")?.remove();
  const state = { iou: Object.keys(all[0][1])[0], kind: "", off: new Set() };
  const kinds = [...new Set(all.flatMap(([, by]) => Object.keys(by[state.iou])))];
  const again = () => draw();
  const pick = h("select", { id: "curve-iou", change: (e) => { state.iou = e.target.value; again(); } },
    Object.keys(all[0][1]).map((v) => h("option", { value: v }, `IoU ${v}`)));
  const which = h("select", { id: "curve-class", change: (e) => { state.kind = e.target.value; again(); } },
    h("option", { value: "" }, "mean of the classes"),
    kinds.filter((k) => kinds.length > 1 && k !== "mean").map((k) => h("option", { value: k }, k)));
  const key = h("ul", { class: "legend" }, all.map(([name]) => h("li", {}, h("label", {},
    h("input", { type: "checkbox", checked: true, change: (e) => {
      if (e.target.checked) state.off.delete(name);
      else state.off.add(name);
      again();
    } }), h("span", { class: `key ${colour(name)}`, "aria-hidden": "true" }), short(name)))));
  document.getElementById("curve-tools").replaceChildren(
    h("label", { for: "curve-iou" }, "matched at"), pick,
    h("label", { for: "curve-class" }, "of"), which, key);
  let draw = () => {};
  chart("curves", (width) => {
    const height = Math.min(430, Math.max(280, width * 0.55));
    const x = (v) => LEFT + (width - LEFT - 12) * v;
    const y = (v) => height - 38 - (height - 64) * v;
    const line = ([name, by]) => {
      const table = Object.entries(by[state.iou]).filter(([k]) => !state.kind || k === state.kind);
      if (!table.length) return null;
      const values = table[0][1].map((_, i) => sum(table.map(([, row]) => row[i])) / table.length);
      const path = values.map((v, i) => `${x(i / (values.length - 1)).toFixed(1)},${y(v).toFixed(1)}`);
      return s("g", { class: colour(name) },
        s("title", {}, `${name}: mean precision ${number(sum(values) / values.length, 3)}`),
        s("polyline", { class: "curve", points: path.join(" ") }));
    };
    const steps = [0, 0.2, 0.4, 0.6, 0.8, 1];
    draw = () => {
      const shown = all.filter(([name]) => !state.off.has(name));
      const svg = s("svg", { width, height, role: "img", "aria-label": "Precision against recall" },
        axes(width, height, x, y, steps, steps, ["recall", "precision"]), shown.map(line));
      document.getElementById("curves").replaceChildren(svg);
    };
    draw();
    return document.getElementById("curves").firstChild;
  });
}
