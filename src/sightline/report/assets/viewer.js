// The stage browser: one image, one model, every stage of the answer, two sliders.

const many = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

const STAGES = [
  ["prepare", "Image", "The image as the network gets it: resized, with padding where it is hatched."],
  ["encode", "Features", "Where the encoder answers strongly: the mean absolute feature of each cell."],
  ["propose", "Regions", "Where the detector looks: some of the windows, anchors or proposals."],
  ["classify", "Candidates", "Every scored box above the threshold, before suppression."],
  ["postprocess", "Answer", "What suppression leaves. Solid: right; broken: a false alarm; dotted: missed."],
];

function opened(raw) {
  if (raw.opened) return raw.opened;
  const labels = raw.labels;
  raw.opened = {
    ...raw,
    boxes: quads(raw.boxes),
    scores: raw.scores.map((v) => v / 10000),
    groups: raw.groups || labels,
    regions: quads(raw.regions),
    windows: quads(raw.looked[1]),
  };
  return raw.opened;
}

function drawViewer() {
  const models = DATA.models.filter((m) => Object.keys(m.views).length);
  if (!models.length || !DATA.photos.length) return document.getElementById("viewer-box").remove();
  const photos = DATA.photos.map((p) => ({ ...p, boxes: quads(p.truth) }));
  const state = { photo: 0, model: models[0], stage: 4, level: 0, score: 0.3, iou: 0.5, pick: -1 };
  const at = (id) => document.getElementById(id);
  const canvas = at("canvas");
  let now = null;

  function usual(model) {
    state.model = model;
    const margins = model.rule.margins;
    const all = Object.values(model.views).flatMap((v) => v.scores).map((v) => v / 10000);
    const low = margins ? Math.floor(Math.min(0, ...all) * 100) / 100 : 0;
    const high = margins ? Math.ceil(Math.max(1, ...all) * 100) / 100 : 1;
    state.score = margins ? 0 : Math.max(0.3, model.rule.score);
    state.iou = model.rule.iou;
    Object.assign(at("score"), { min: low, max: high, step: 0.01 });
    at("score").value = state.score;
    at("iou").disabled = state.iou === null;
    at("iou").value = state.iou === null ? 1 : state.iou;
    at("iou-note").hidden = state.iou !== null;
  }

  function compute() {
    const photo = photos[state.photo];
    const view = opened(state.model.views[photo.row]);
    const limit = state.model.rule.limit;
    const { fates, kept } = suppress(view, state.score, state.iou, limit);
    const found = match(view, kept, photo, state.model.classes, 0.5);
    const seen = state.stage === 4 ? kept : state.stage === 3 ? fates.map((_, i) => i) : [];
    if (!seen.includes(state.pick)) state.pick = -1;
    now = { photo, view, fates, kept, found, seen };
  }

  const rect = (box, attributes) => s("rect", { x: box[0], y: box[1],
    width: Math.max(0, box[2] - box[0]), height: Math.max(0, box[3] - box[1]), ...attributes });

  function frame() {
    // the prepared image in the pixels of the original: [x1, y1, x2, y2]
    const [height, width] = now.photo.size;
    const [ph, pw] = now.view.prepared;
    const [rh, rw, top, left] = now.view.frame;
    const [sy, sx] = [height / rh, width / rw];
    return [-left * sx, -top * sy, (pw - left) * sx, (ph - top) * sy];
  }

  function layers() {
    const { photo, view, fates, found, seen } = now;
    const [height, width] = photo.size;
    const parts = [s("image", { href: `data:image/jpeg;base64,${photo.jpeg}`, width, height,
      class: state.stage === 1 && view.features ? "dim" : null,
      preserveAspectRatio: "none" })];
    if (state.stage === 0) {
      const f = frame();
      parts.unshift(rect(f, { class: "padding" }));
      parts.push(rect(f, { class: "edge" }));
    }
    if (state.stage === 1 && view.features) {
      const f = frame();
      parts.push(s("image", { href: `data:image/png;base64,${view.features[state.level]}`, class: "energy",
        x: f[0], y: f[1], width: f[2] - f[0], height: f[3] - f[1], preserveAspectRatio: "none" }));
    }
    if (state.stage === 2) parts.push(view.windows.map((box) => rect(box, { class: "window" })));
    if (state.stage === 4 && at("truth").checked) {
      photo.boxes.forEach((box, g) => {
        if (!found.taken.has(g) && !photo.crowd[g]) parts.push(rect(box, { class: "missed" }));
      });
    }
    if (state.stage === 3 && at("truth").checked) {
      parts.push(photo.boxes.map((box) => rect(box, { class: "missed" })));
    }
    [...seen].reverse().forEach((i) => {
      const hit = found.of.get(i);
      const kind = state.stage === 3 ? (fates[i].by < 0 ? "candidate" : "candidate lost")
        : hit && hit.object >= 0 ? "answer right" : "answer wrong";
      parts.push(rect(view.boxes[i], { class: kind, "data-box": i }));
    });
    if (state.pick >= 0) {
      const i = state.pick;
      fates.forEach((fate, k) => {
        if (fate.by === i) parts.push(rect(view.boxes[k], { class: "rival" }));
      });
      parts.push(rect(view.regions[view.places[i]], { class: "region" }));
      if (fates[i].by >= 0) parts.push(rect(view.boxes[fates[i].by], { class: "winner" }));
      parts.push(rect(view.boxes[i], { class: "picked" }));
    }
    return parts;
  }

  function tags() {
    // names of the best answers, where there is room for them
    if (state.stage !== 4) return [];
    const [height, width] = now.photo.size;
    const room = canvas.getBoundingClientRect();
    const unit = Math.max(width / (room.width || 600), height / (room.height || 400));
    const used = [];
    return now.kept.slice(0, 12).map((i) => {
      const box = now.view.boxes[i];
      const text = `${state.model.classes[now.view.labels[i]]} ${number(now.view.scores[i], 2)}`;
      const [w, t] = [(7.6 * text.length + 10) * unit, 19 * unit];
      const x = clamp(box[0], 0, Math.max(0, width - w));
      const y = box[1] - t >= 0 ? box[1] - t : box[1];
      if (used.some((u) => x < u[0] + u[2] && u[0] < x + w && Math.abs(u[1] - y) < t)) return null;
      used.push([x, y, w]);
      const right = now.found.of.get(i).object >= 0;
      return s("g", { class: right ? "tag right" : "tag wrong", "font-size": 13 * unit },
        s("rect", { x, y, width: w, height: t }),
        s("text", { x: x + 5 * unit, y: y + 14 * unit }, text));
    });
  }

  function detail() {
    const { view, fates, found } = now;
    const i = state.pick;
    if (state.stage < 3) return [];
    if (i < 0) return [h("p", { class: "quiet" }, "Point at a box, or focus the picture and press the arrow keys: "
      + "its region, its classes, and whom it suppressed.")];
    const classes = state.model.classes;
    const region = view.regions[view.places[i]];
    const size = (b) => `${number(b[2] - b[0], 0)} × ${number(b[3] - b[1], 0)} pixels`;
    const rivals = fates.map((f, k) => [f, k]).filter(([f]) => f.by === i);
    const hit = found.of.get(i);
    const lines = [h("h4", {}, `${classes[view.labels[i]]} ${number(view.scores[i], 3)}`)];
    if (hit) {
      lines.push(h("p", {}, hit.object >= 0 ? `Right: IoU ${number(hit.iou, 2)} with its object.`
        : `False alarm: the nearest free or taken object of its class has IoU ${number(hit.iou, 2)}.`));
    }
    if (fates[i].by >= 0) {
      lines.push(h("p", {}, `Suppressed by ${number(view.scores[fates[i].by], 3)} at IoU ${number(fates[i].iou, 2)}.`));
    }
    lines.push(h("p", {}, `Box of ${size(view.boxes[i])}, from a region of ${size(region)} on level ${view.levels[view.places[i]]}.`));
    const [names, values] = view.classes;
    const top = Math.max(1e-9, ...values[view.places[i]].map((v) => Math.abs(v) / 10000));
    lines.push(h("ul", { class: "scores" }, names[view.places[i]].map((k, n) => {
      const value = values[view.places[i]][n] / 10000;
      return h("li", {}, h("span", {}, classes[k]), s("svg", { width: 90, height: 8, "aria-hidden": "true" },
        s("rect", { class: "part v1", width: (90 * Math.max(0, value)) / top, height: 8 })),
      h("span", { class: "figure" }, number(value, 3)));
    })));
    if (rivals.length) {
      const shown = rivals.slice(0, 6).map(([f, k]) => `${number(view.scores[k], 2)} (IoU ${number(f.iou, 2)})`);
      const more = rivals.length > 6 ? ` and ${rivals.length - 6} more` : "";
      lines.push(h("p", {}, `Suppressed ${rivals.length}: ${shown.join(", ")}${more}.`));
    } else if (fates[i].by < 0) lines.push(h("p", {}, "Suppressed nobody."));
    return lines;
  }

  function summary() {
    const { view, fates, kept, found, photo } = now;
    if (state.stage === 0) {
      const [ph, pw] = view.prepared;
      return `${photo.size[1]} × ${photo.size[0]} pixels; the network sees ${pw} × ${ph}.`;
    }
    if (state.stage === 1) {
      const grids = (view.grids || []).map(([y, x]) => `${x} × ${y}`);
      return grids.length ? `Maps of ${grids.join(", ")} cells.` : "No maps of features.";
    }
    if (state.stage === 2) return `${number(view.looked[0], 0)} regions, ${view.windows.length} of them drawn.`;
    const cut = view.boxes.length >= DATA.limit && state.score < view.scores.at(-1)
      ? ` The page holds the best ${DATA.limit}, above ${number(view.scores.at(-1), 3)}.` : "";
    if (state.stage === 3) return `${fates.length} candidates, ${fates.length - kept.length} of them give way.${cut}`;
    const right = [...found.of.values()].filter((one) => one.object >= 0).length;
    const objects = photo.crowd.filter((c) => !c).length;
    return `${many(kept.length, "answer")}: ${right} right, ${many(kept.length - right, "false alarm")}; ${objects - found.taken.size} of ${objects} objects missed.${cut}`;
  }

  function show() {
    compute();
    const [height, width] = now.photo.size;
    const box = state.stage === 0 ? frame() : [0, 0, width, height];
    canvas.setAttribute("viewBox", `${box[0]} ${box[1]} ${box[2] - box[0]} ${box[3] - box[1]}`);
    canvas.replaceChildren(...layers().flat(), ...tags().filter(Boolean));
    canvas.setAttribute("aria-label", `${now.photo.name}, ${STAGES[state.stage][1]}. ${summary()}`);
    at("summary").textContent = summary();
    at("stage-about").textContent = STAGES[state.stage][2];
    at("detail").replaceChildren(...detail());
    at("score-value").textContent = number(state.score, 2);
    at("iou-value").textContent = state.iou === null ? "–" : number(state.iou, 2);
    at("photo-name").textContent = `${now.photo.name} (${state.photo + 1} of ${photos.length})`;
    const levels = state.stage === 1 ? now.view.grids || [] : [];
    at("sliders").hidden = state.stage < 3;
    at("levels").hidden = !levels.length;
    at("levels").replaceChildren(...levels.map((grid, i) => h("button", { type: "button",
      "aria-pressed": String(i === state.level), click: () => { state.level = i; show(); } },
    `${grid[1]} × ${grid[0]}`)));
    at("tabs").querySelectorAll("button").forEach((tab, i) => {
      tab.setAttribute("aria-selected", String(i === state.stage));
      tab.tabIndex = i === state.stage ? 0 : -1;
    });
    at("strip").querySelectorAll("button").forEach((b, i) => {
      b.setAttribute("aria-pressed", String(i === state.photo));
    });
  }

  function under(event) {
    const point = new DOMPoint(event.clientX, event.clientY)
      .matrixTransform(canvas.getScreenCTM().inverse());
    const inside = now.seen.filter((i) => {
      const b = now.view.boxes[i];
      return point.x >= b[0] && point.x <= b[2] && point.y >= b[1] && point.y <= b[3];
    });
    const area = (i) => {
      const b = now.view.boxes[i];
      return (b[2] - b[0]) * (b[3] - b[1]);
    };
    return inside.length ? inside.reduce((a, b) => (area(b) < area(a) ? b : a)) : -1;
  }

  function choose(pick) {
    if (pick === state.pick) return;
    state.pick = pick;
    show();
  }

  function step(list, current, key) {
    const way = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[key];
    if (!way || !list.length) return null;
    const place = list.indexOf(current);
    return list[place < 0 ? (way > 0 ? 0 : list.length - 1) : (place + way + list.length) % list.length];
  }

  canvas.addEventListener("pointermove", (e) => choose(under(e)));
  canvas.addEventListener("pointerdown", (e) => choose(under(e)));
  canvas.addEventListener("keydown", (e) => {
    const next = step(now.seen, state.pick, e.key);
    if (next !== null) {
      e.preventDefault();
      choose(next);
    } else if (e.key === "Escape") choose(-1);
  });
  at("score").addEventListener("input", (e) => { state.score = Number(e.target.value); show(); });
  at("iou").addEventListener("input", (e) => { state.iou = Number(e.target.value); show(); });
  at("truth").addEventListener("change", show);
  at("model").replaceChildren(...models.map((m, i) => h("option", { value: i }, short(m.name))));
  const accuracy = (m) => DATA.rows.find((row) => row.model === m.name)?.AP ?? -1;
  const best = models.reduce((a, b) => (accuracy(b) > accuracy(a) ? b : a));
  at("model").value = models.indexOf(best);
  at("model").addEventListener("change", (e) => {
    state.level = 0;
    usual(models[Number(e.target.value)]);
    show();
  });
  at("tabs").replaceChildren(...STAGES.map(([, title], i) => h("button", { type: "button", role: "tab",
    "aria-controls": "panel", click: () => { state.stage = i; state.pick = -1; show(); } }, title)));
  at("tabs").addEventListener("keydown", (e) => {
    const next = step(STAGES.map((_, i) => i), state.stage, e.key);
    if (next === null) return;
    e.preventDefault();
    state.stage = next;
    state.pick = -1;
    show();
    at("tabs").children[next].focus();
  });
  at("strip").replaceChildren(...photos.map((photo, i) => h("button", { type: "button",
    title: photo.name, "aria-label": `image ${i + 1}: ${photo.name}`,
    click: () => { state.photo = i; state.pick = -1; show(); } },
  h("img", { src: `data:image/jpeg;base64,${photo.jpeg}`, alt: "", loading: "lazy" }))));
  at("reset").addEventListener("click", () => { usual(state.model); show(); });
  usual(best);
  show();
  CHARTS.push(show);
  // for tests and for the curious: what the page found, in numbers
  window.sightline = { state, answer: () => ({ kept: now.kept, fates: now.fates }) };
}

drawTable();
drawScatter();
drawStages();
drawCurves();
drawLost();
drawViewer();
