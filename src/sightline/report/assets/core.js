// What every part of the page uses: the data, elements, numbers, colours.

const DATA = JSON.parse(document.getElementById("data").textContent);
const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") node.addEventListener(key, value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  for (const child of children.flat(3)) {
    if (child !== null && child !== undefined) {
      node.append(child instanceof Node ? child : document.createTextNode(String(child)));
    }
  }
  return node;
}

const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
const s = (tag, attributes, ...children) =>
  fill(document.createElementNS(SVG, tag), attributes, children);

const short = (name) => name.replace(/_mobilenet_v2$/, "");
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const sum = (values) => values.reduce((a, b) => a + b, 0);

function number(value, digits) {
  if (value === null || value === undefined) return "–";
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function milliseconds(value) {
  return number(value, value < 10 ? 1 : 0);
}

// Charts are drawn in the pixels that there are, so that letters keep their size on a phone.
const CHARTS = [];
function chart(id, draw) {
  const place = document.getElementById(id);
  if (!place) return;
  const again = () => {
    const width = Math.max(260, Math.floor(place.clientWidth));
    place.replaceChildren(draw(width));
  };
  CHARTS.push(again);
  again();
}
let drawnAt = window.innerWidth;
window.addEventListener("resize", () => {
  if (window.innerWidth === drawnAt) return;
  drawnAt = window.innerWidth;
  for (const again of CHARTS) again();
});

const NAMES = DATA.rows.filter((row) => !row.failed).map((row) => row.model);
const colour = (name) => `m${NAMES.indexOf(name) % 12}`;

function ticks(low, high, count) {
  const step = 10 ** Math.floor(Math.log10((high - low) / count));
  const nice = [1, 2, 5, 10].map((k) => k * step).find((k) => (high - low) / k <= count);
  const first = Math.ceil(low / nice - 1e-9);
  const answer = [];
  for (let k = first; k * nice <= high + 1e-9; k++) answer.push(Number((k * nice).toPrecision(12)));
  return answer;
}
