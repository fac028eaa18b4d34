(() => {
"use strict";
const figure = document.currentScript.closest("figure");
const role = name => figure.querySelector(`[data-role="${name}"]`);
const spec = JSON.parse(figure.querySelector(".spec").textContent);
const canvas = figure.querySelector("canvas"), pen = canvas.getContext("2d"), still = figure.querySelector(".still");
const pictures = [...figure.querySelectorAll("img.layer")];
let zoom = 1, centre = [spec.width / 2, spec.height / 2], waiting = false, held = null;
const dark = matchMedia("(prefers-color-scheme: dark)");

const fit = () => Math.min(canvas.width / spec.width, canvas.height / spec.height);
const shown = () => +role("show").value;

function draw() {
  waiting = false;
  const dense = window.devicePixelRatio || 1;
  canvas.width = canvas.clientWidth * dense; canvas.height = canvas.clientHeight * dense;
  const scale = fit() * zoom, left = canvas.width / 2 - centre[0] * scale, top = canvas.height / 2 - centre[1] * scale;
  pen.fillStyle = dark.matches ? "#14171b" : "#f2f4f6";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.imageSmoothingEnabled = scale < 1;
  const number = shown(), at = +role("divider").value / 100 * canvas.width;
  const put = (k, from, to) => {
    pen.save(); pen.beginPath(); pen.rect(from, 0, to - from, canvas.height); pen.clip();
    pen.drawImage(pictures[k], left, top, spec.width * scale, spec.height * scale); pen.restore();
  };
  if (number < 0) {
    put(0, 0, at); put(1, at, canvas.width);
    pen.fillStyle = "#fff"; pen.fillRect(at - 2 * dense, 0, 4 * dense, canvas.height);
    pen.fillStyle = "#000"; pen.fillRect(at - dense / 2, 0, dense, canvas.height);
  } else put(number, 0, canvas.width);
  role("divider-label").hidden = number >= 0;
  figure.querySelectorAll(".legend").forEach((e, k) => { e.hidden = number < 0 ? k > 0 && !sameLegend(k) : k !== number; });
  canvas.dataset.zoom = zoom.toFixed(3); canvas.dataset.centre = centre.map(c => c.toFixed(2)).join(",");
  canvas.dataset.shown = number;
}

const sameLegend = k => k === 1 && figure.querySelector('[data-layer="0"] i').style.background !== figure.querySelector('[data-layer="1"] i').style.background;

function later() { if (!waiting) { waiting = true; requestAnimationFrame(draw); } }

function view(factor, about) { // zoom about a point of the scene that stays where it is
  const next = Math.max(1, Math.min(64, zoom * factor)), share = zoom / next;
  centre = centre.map((c, k) => about[k] + (c - about[k]) * share);
  zoom = next;
  hold();
}

function hold() { // the picture keeps touching the middle
  centre = [Math.max(0, Math.min(spec.width, centre[0])), Math.max(0, Math.min(spec.height, centre[1]))];
  if (zoom === 1) centre = [spec.width / 2, spec.height / 2];
  later();
}

function place(event) { // of the pointer, in pixels of the picture
  const box = canvas.getBoundingClientRect(), scale = fit() * zoom * box.width / canvas.width;
  return [centre[0] + (event.clientX - box.left - box.width / 2) / scale, centre[1] + (event.clientY - box.top - box.height / 2) / scale];
}

function next() { const s = role("show"); s.selectedIndex = (s.selectedIndex + 1) % s.options.length; later(); }

function key(event) {
  const far = 0.1 * canvas.width / (fit() * zoom);
  const moves = { ArrowLeft: [-far, 0], ArrowRight: [far, 0], ArrowUp: [0, -far], ArrowDown: [0, far] };
  if (moves[event.key]) { centre = centre.map((c, k) => c + moves[event.key][k]); hold(); }
  else if (event.key === "+" || event.key === "=") view(1.5, centre);
  else if (event.key === "-") view(1 / 1.5, centre);
  else if (event.key === "0") { zoom = 1; hold(); }
  else if (event.key.toLowerCase() === "b") next();
  else return;
  event.preventDefault();
}

canvas.addEventListener("keydown", key);
canvas.addEventListener("wheel", e => { e.preventDefault(); view(Math.exp(-e.deltaY / 400), place(e)); }, { passive: false });
canvas.addEventListener("pointerdown", e => { held = place(e); canvas.setPointerCapture(e.pointerId); });
canvas.addEventListener("pointerup", () => { held = null; });
canvas.addEventListener("pointermove", e => {
  const p = place(e);
  if (held) { centre = centre.map((c, k) => c + held[k] - p[k]); hold(); }
  const [x, y] = p.map(v => Math.floor(v) * spec.step);
  const inside = p[0] >= 0 && p[1] >= 0 && p[0] < spec.width && p[1] < spec.height;
  role("readout").textContent = inside ? `row ${y}, column ${x}` : "";
});
role("show").onchange = role("divider").oninput = later;
role("in").onclick = () => view(1.5, centre);
role("out").onclick = () => view(1 / 1.5, centre);
role("all").onclick = () => { zoom = 1; hold(); };
dark.addEventListener("change", later);
new ResizeObserver(later).observe(canvas.parentElement);
Promise.all(pictures.map(p => p.decode())).then(() => {
  figure.querySelector(".viewer").hidden = false; still.classList.remove("shown"); draw(); figure.dataset.ready = "yes";
}).catch(error => { figure.dataset.ready = "no"; console.error(error); });
})();
