(() => {
"use strict";
const figure = document.currentScript.closest("figure");
const role = name => figure.querySelector(`[data-role="${name}"]`);
const spec = JSON.parse(figure.querySelector(".spec").textContent);
const viewer = figure.querySelector(".viewer"), still = figure.querySelector(".still"), stage = figure.querySelector(".stage");
const canvas = figure.querySelector("canvas"), count = spec.shape[0] * spec.shape[1] * spec.shape[2];
const sides = ["x", "y", "z"], WHITE = 1.5; // colours are this much brighter, as FA of 2/3 is much
let nv, blank, lines, bytes = [], at = spec.start.slice(), waiting = false;

async function library() {
  const packed = Uint8Array.from(atob(figure.querySelector(".viewer-code").textContent), c => c.charCodeAt(0));
  const text = await new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  const script = document.createElement("script");
  script.textContent = text;
  document.head.append(script);
}

const load = base64 => niivue.NVImage.loadFromBase64({ base64, name: "map.nii.gz" });
const state = () => +role("mix").value / 100;
const map = () => +role("map").value; // -1 is colour FA, from the number of maps on it is a change
const of = (numbers, k) => bytes[numbers[Math.min(k, numbers.length - 1)]];

function value(m, byte) { return byte ? m.limits[0] + (byte - 1) / 254 * (m.limits[1] - m.limits[0]) : NaN; }

function paintColours(out, grey) {
  const t = state(), fa = spec.maps[0].files, r = spec.turn, v = [0, 0, 0], part = [1 - t, t];
  out.fill(0);
  for (let k = 0; k < 2; k++) {
    if (!part[k]) continue;
    const f = of(fa, k), d = of(spec.directions, k);
    for (let i = 0, j = 0; i < count; i++, j += 3) {
      if (f[i] < 2) continue;
      const s = part[k] * (f[i] - 1);
      if (grey) { out[j] += s * 0.6; out[j + 1] += s * 0.6; out[j + 2] += s * 0.6; continue; }
      v[0] = d[j] - 128; v[1] = d[j + 1] - 128; v[2] = d[j + 2] - 128;
      for (let c = 0; c < 3; c++)
        out[j + c] = Math.min(255, out[j + c] + WHITE * s * Math.abs(r[c][0] * v[0] + r[c][1] * v[1] + r[c][2] * v[2]) / 124);
    }
  }
}

function paintMap(out, m) {
  const t = state(), a = of(m.files, 0), b = of(m.files, 1), table = m.table;
  for (let i = 0, j = 0; i < count; i++, j += 3) {
    const k = 3 * Math.round((1 - t) * a[i] + t * b[i]), seen = a[i] && b[i];
    out[j] = seen ? table[k] : 0; out[j + 1] = seen ? table[k + 1] : 0; out[j + 2] = seen ? table[k + 2] : 0;
  }
}

function paintLines(out) {
  const k = state() < 0.5 ? 0 : 1, f = of(spec.maps[0].files, k), d = of(spec.directions, k);
  out.fill(0);
  for (let i = 0, j = 0, o = 0; i < count; i++, j += 3, o += 4) {
    if (f[i] < 40) continue;
    const x = 128 - d[j], y = d[j + 1] - 128, z = d[j + 2] - 128, s = 255 / 124 * Math.min(1, f[i] / 110);
    out[o] = Math.min(255, Math.abs(x) * s); out[o + 1] = Math.min(255, Math.abs(y) * s); out[o + 2] = Math.min(255, Math.abs(z) * s);
    out[o + 3] = 248 + (x > 0 ? 1 : 0) + (y > 0 ? 2 : 0) + (z > 0 ? 4 : 0);
  }
}

function show() {
  const drawn = role("lines").checked, number = map();
  if (number < 0) paintColours(blank.img, drawn); else paintMap(blank.img, spec.maps[number]);
  nv.opts.isV1SliceShader = drawn;
  nv.overlays = drawn ? [lines] : [];
  nv.volumes = [blank, ...nv.overlays];
  nv.back = blank;
  if (drawn) paintLines(lines.img);
  nv.updateGLVolume();
  const two = number < 0 || spec.maps[number].files.length > 1;
  role("mix-label").hidden = role("flip").hidden = !two;
  role("mix").setAttribute("aria-valuetext", `${Math.round(100 * state())} % ${spec.states[1]}`);
  legend(number);
  tell();
}

function later() { // at most one picture a frame, however fast a slider moves
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; show(); });
}

function legend(number) {
  const place = role("legend");
  if (number < 0) { place.textContent = "red left-right, green back-front, blue down-up; brightness is FA"; return; }
  const m = spec.maps[number], stops = [];
  for (let k = 0; k < 256; k += 15) stops.push(`rgb(${m.table.slice(3 * k, 3 * k + 3)})`);
  const bar = document.createElement("i");
  bar.style.background = `linear-gradient(to right, ${stops})`;
  place.replaceChildren(String(m.limits[0]), bar, `${m.limits[1]} ${m.label}`);
}

function tell() {
  const i = at[0] + spec.shape[0] * (at[1] + spec.shape[1] * at[2]), said = [];
  for (const m of spec.maps) {
    const found = m.files.map(f => value(m, bytes[f][i])).filter(Number.isFinite).map(v => v.toFixed(2));
    if (found.length) said.push(`${m.label} ${found.join(" → ")}`);
  }
  role("readout").textContent = `voxel ${at.join(", ")}: ${said.join("; ") || "outside of the mask"}`;
  sides.forEach((s, k) => { role(s).value = at[k]; });
  canvas.dataset.position = at.join(",");
}

function move(place) {
  at = place.map((p, k) => Math.max(0, Math.min(spec.shape[k] - 1, p)));
  nv.scene.crosshairPos = nv.vox2frac(at);
  nv.drawScene();
  tell();
}

function flip() { role("mix").value = state() < 0.5 ? 100 : 0; later(); }

function key(event) {
  const step = { ArrowLeft: [0, 1], ArrowRight: [0, -1], ArrowUp: [2, 1], ArrowDown: [2, -1], PageUp: [1, -1], PageDown: [1, 1] }[event.key];
  if (step) { const to = at.slice(); to[step[0]] += step[1]; move(to); }
  else if (event.key.toLowerCase() === "b") flip();
  else return;
  event.preventDefault(); event.stopImmediatePropagation();
}

async function start() {
  await library();
  nv = new niivue.Niivue({
    backColor: [0, 0, 0, 1], crosshairColor: [1, 1, 1, 0.5], crosshairWidth: 0.2, crosshairWidthUnit: "percent", crosshairGap: 2, isRadiologicalConvention: true, sagittalNoseLeft: true,
    multiplanarShowRender: 1, isNearestInterpolation: true, dragAndDropEnabled: false, scrollRequiresFocus: true, logLevel: "error",
    isForceMouseClickToVoxelCenters: true, onLocationChange: d => { if (d.vox) { at = d.vox.slice(0, 3).map(Math.round); tell(); } },
  });
  nv.opts.dragMode = 3; // the right button moves the picture
  const files = [...figure.querySelectorAll(".file")].map(e => e.textContent);
  const images = await Promise.all(files.map(load));
  [blank, lines] = images;
  bytes = images.map(image => image.img);
  viewer.hidden = false;
  await nv.attachToCanvas(canvas);
  const names = [...(spec.directions.length ? [[-1, "colour FA"]] : []), ...spec.maps.map((m, k) => [k, m.label])];
  role("map").replaceChildren(...names.map(([k, label]) => new Option(label, k)));
  role("lines-label").hidden = !spec.directions.length;
  sides.forEach((s, k) => { role(s).max = spec.shape[k] - 1; role(s).oninput = () => move(sides.map(n => +role(n).value)); });
  role("map").onchange = role("lines").onchange = later;
  role("mix").oninput = later;
  role("flip").onclick = flip;
  role("view").onchange = () => { nv.setSliceType(+role("view").value); };
  canvas.addEventListener("keydown", key, true);
  nv.setSliceType(3);
  show();
  move(at);
  still.classList.remove("shown");
  figure.dataset.ready = "yes";
}

const works = window.DecompressionStream && document.createElement("canvas").getContext("webgl2");
if (works) start().catch(error => { viewer.hidden = true; still.classList.add("shown"); figure.dataset.ready = "no"; console.error(error); });
else figure.dataset.ready = "no";
})();
