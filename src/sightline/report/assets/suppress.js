// The detector's last verb once more: the threshold, greedy suppression, the limit.

function overlap(a, b) {
  const width = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
  const height = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  if (width <= 0 || height <= 0) return 0;
  const shared = width * height;
  return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared);
}

const quads = (flat) => {
  const answer = [];
  for (let i = 0; i < flat.length; i += 4) answer.push(flat.slice(i, i + 4).map((v) => v / 10));
  return answer;
};

// Candidates come best first. Each gets the one that it lost to (-1: none) and their IoU.
function suppress(view, score, iou, limit) {
  const fates = [];
  const kept = [];
  for (let i = 0; i < view.boxes.length && view.scores[i] > score; i++) {
    let fate = { by: -1, iou: 0 };
    if (iou !== null) {
      for (const k of kept) {
        if (view.groups[k] !== view.groups[i]) continue;
        const shared = overlap(view.boxes[k], view.boxes[i]);
        if (shared > iou) {
          fate = { by: k, iou: shared };
          break;
        }
      }
    }
    fates.push(fate);
    if (fate.by < 0) kept.push(i);
  }
  return { fates, kept: kept.slice(0, limit) };
}

// COCO's matching at one IoU: best score first, each to its best free object of its class.
function match(view, kept, photo, classes, least) {
  const taken = new Set();
  const answer = new Map();
  for (const i of kept) {
    let best = -1;
    let value = 0;
    let near = 0;
    photo.boxes.forEach((box, g) => {
      if (DATA.classes[photo.labels[g]] !== classes[view.labels[i]]) return;
      const shared = overlap(box, view.boxes[i]);
      near = Math.max(near, shared);
      if (!photo.crowd[g] && !taken.has(g) && shared >= least && shared >= value) {
        best = g;
        value = shared;
      }
    });
    if (best >= 0) taken.add(best);
    answer.set(i, { object: best, iou: best >= 0 ? value : near });
  }
  return { of: answer, taken };
}
