(() => {
"use strict";
const figure = document.currentScript.closest("figure");
const role = name => figure.querySelector(`[data-role="${name}"]`);
const spec = JSON.parse(figure.querySelector(".spec").textContent);
const canvas = figure.querySelector("canvas"), pen = canvas.getContext("2d");
const width = canvas.width / spec.bodies.length, scale = spec.scale * Math.min(width, canvas.height) / 2;
const frames = Math.max(...spec.bodies.map(body => body.length));
let frame = 0, playing = !matchMedia("(prefers-reduced-motion: reduce)").matches, turn = 0.6, last = 0;

function drawBody(pose, left, colour) {
  const at = pose.map(p => [
    left + width / 2 + scale * (p[0] * Math.cos(turn) + p[1] * Math.sin(turn)), canvas.height / 2 - scale * p[2],
  ]);
  pen.strokeStyle = pen.fillStyle = colour; pen.lineWidth = 2;
  at.forEach((point, joint) => {
    const above = at[spec.parent[joint]];
    if (above) { pen.beginPath(); pen.moveTo(...above); pen.lineTo(...point); pen.stroke(); }
    pen.beginPath(); pen.arc(...point, 2.5, 0, 7); pen.fill();
  });
}

function draw() {
  pen.clearRect(0, 0, canvas.width, canvas.height);
  spec.bodies.forEach((body, k) => drawBody(body[frame % body.length], k * width, spec.colours[k]));
  pen.fillStyle = getComputedStyle(figure).color; pen.font = "15px system-ui";
  spec.titles.forEach((title, k) => pen.fillText(title, k * width + 8, 18));
  role("frame").value = frame; role("readout").textContent = `${frame + 1} of ${frames}`;
  role("play").textContent = playing ? "pause" : "play"; role("play").setAttribute("aria-pressed", playing);
  canvas.dataset.frame = frame; canvas.dataset.turn = turn.toFixed(2);
}

function step(by) { playing = false; frame = (frame + by + frames) % frames; draw(); }
role("frame").oninput = () => { playing = false; frame = +role("frame").value; draw(); };
role("play").onclick = () => { playing = !playing; draw(); };
canvas.onpointermove = event => { if (event.buttons) { turn += event.movementX / 150; draw(); } };
canvas.onkeydown = event => {
  const keys = {
    " ": () => role("play").click(), ArrowLeft: () => { turn -= 0.1; draw(); }, ArrowRight: () => { turn += 0.1; draw(); },
    ArrowUp: () => step(1), ArrowDown: () => step(-1),
  };
  if (keys[event.key]) { event.preventDefault(); keys[event.key](); }
};
function run(now) {
  if (playing && now - last > 1000 / spec.rate) { frame = (frame + 1) % frames; last = now; draw(); }
  requestAnimationFrame(run);
}
role("frame").closest(".viewer").hidden = false;
figure.querySelector(".still").classList.remove("shown");
figure.dataset.ready = "yes";
draw(); requestAnimationFrame(run);
})();
