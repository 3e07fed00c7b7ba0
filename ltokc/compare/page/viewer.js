// The pictures: a line between left and right, or side by side; zoom and pan are one state for all panes.
const stage = $("stage"), handle = $("handle");
const panes = Object.fromEntries([...stage.querySelectorAll(".pane")].map((pane) => [pane.dataset.pane, pane]));
const state = { picture: -1, left: "file0", right: "", sides: false, split: 0.5, zoom: 1, cx: 0.5, cy: 0.5, heat: false, hold: false };
let sources = [], views = null;
const viewable = data.pictures.map((picture, i) => (known(picture.view) ? i : -1)).filter((i) => i >= 0);
const current = () => data.pictures[state.picture];
const sourceWith = (key) => sources.find((source) => source.key === key) || sources[0];

function viewOf(source) {
  if (source.key === "original") return views.original;
  return source.file !== undefined ? views.files[source.file] : views.rivals[source.rival];
}

function show(index) {
  if (!viewable.includes(index)) return;
  const first = state.picture < 0;
  state.picture = index;
  const picture = current();
  sources = sourcesOf(picture);
  views = JSON.parse($(`view-${picture.view}`).textContent);
  const keys = sources.map((source) => source.key);
  if (first || !keys.includes(state.right)) state.right = keys.includes(data.headline) ? data.headline : keys[2] || keys[0];
  if (!keys.includes(state.left)) state.left = "file0";
  Object.assign(state, { zoom: 1, cx: 0.5, cy: 0.5 });
  for (const side of ["left", "right"]) {
    $(side).replaceChildren(...sources.map((s) => make("option", { value: s.key, textContent: s.label })));
  }
  for (const button of $("strip").children) {
    const on = Number(button.dataset.index) === index;
    button.setAttribute("aria-pressed", String(on));
    if (on && !first) button.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
  for (const row of document.querySelectorAll("#pictures tbody tr")) row.classList.toggle("on", Number(row.dataset.index) === index);
  $("which").textContent = `${picture.name}, ${picture.width} × ${picture.height} px` + (picture.source ? `, made of ${picture.source}` : "") + picture.notes.map((n) => `; ${n}`).join("");
  fill();
  filesTable();
  try { history.replaceState(null, "", `#picture-${index + 1}`); } catch { /* some places of a file do not allow it */ }
}

function fill() {
  $("left").value = state.left;
  $("right").value = state.right;
  const chosen = { left: state.left, right: state.right, original: "original" };
  for (const [name, key] of Object.entries(chosen)) {
    const source = sourceWith(key), view = panes[name].querySelector(".view"), shown = viewOf(source);
    const image = make("img", { alt: `${source.label}: ${current().name}`, src: shown.src, draggable: false });
    view.replaceChildren(image);
    view.dataset.scale = source.record ? source.record.scale : 1;
    if (state.heat && views.heat && source.record && source.record.codec === "ltokc" && source.file === views.heatFile) {
      view.append(make("img", { className: "heat", alt: "Where the bits went", src: views.heat.src }));
    }
    const tag = panes[name].querySelector(".tag");
    tag.replaceChildren(make("b", { textContent: source.label }), source.record ? tagText(source.record) : "");
    tag.style.setProperty("--dot", source.colour);
  }
  $("heat").disabled = !views.heat;
  $("hold").disabled = state.sides;
  $("heat").setAttribute("aria-pressed", String(state.heat));
  $("hold").setAttribute("aria-pressed", String(state.hold));
  $("slide").setAttribute("aria-pressed", String(!state.sides));
  $("side").setAttribute("aria-pressed", String(state.sides));
  const three = state.left !== "original" && state.right !== "original";
  stage.classList.toggle("sides", state.sides);
  stage.classList.toggle("three", state.sides && three);
  stage.classList.toggle("holding", state.hold && !state.sides);
  place();
}
const tagText = (record) => `${bytes(record.bytes)}${record.scale > 1 ? `, ${scaled[record.scale]}` : ""}, ${metricOf[data.metric].short} ${score(record.scores, data.metric)}`;

function shape() {
  const { width, height } = current(), count = state.sides ? (stage.classList.contains("three") ? 3 : 2) : 1;
  const full = stage.parentElement.clientWidth + (matchMedia("(max-width: 640px)").matches ? 32 : 0);
  const columns = state.sides && full < 640 ? 1 : count;
  const rows = Math.ceil(count / columns), tall = (0.82 * innerHeight) / rows;
  const paneHeight = Math.max(120, Math.min((full / columns) * (height / width), tall));
  const wide = Math.min(full, Math.ceil(paneHeight * (width / height) * columns)); // no bars beside a picture that is tall
  stage.style.height = `${Math.round(paneHeight * rows)}px`;
  stage.style.width = wide < full ? `${wide}px` : "";
  stage.style.marginInline = wide < full ? "auto" : "";
  stage.style.gridTemplateColumns = state.sides ? `repeat(${columns}, 1fr)` : "";
  stage.style.gridAutoRows = state.sides ? "1fr" : "";
}

let shownScale = 1;
function place() {
  if (state.picture < 0) return;
  shape();
  const { width, height } = current();
  const box = panes.left.getBoundingClientRect();
  const fit = Math.min(box.width / width, box.height / height);
  state.zoom = Math.max(1, Math.min(state.zoom, Math.max(8, 24 / fit)));
  const scale = (shownScale = fit * state.zoom);
  const clamp = (c, space, size) => {
    const half = space / 2 / (size * scale);
    return half >= 0.5 ? 0.5 : Math.min(1 - half, Math.max(half, c));
  };
  state.cx = clamp(state.cx, box.width, width);
  state.cy = clamp(state.cy, box.height, height);
  const x = box.width / 2 - state.cx * width * scale, y = box.height / 2 - state.cy * height * scale;
  for (const pane of Object.values(panes)) {
    const view = pane.querySelector(".view");
    view.style.width = `${width}px`;
    view.style.height = `${height}px`;
    view.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
    view.classList.toggle("sharp", scale * devicePixelRatio >= 3 && view.dataset.scale === "1");
  }
  stage.classList.toggle("zoomed", state.zoom > 1.001);
  const place = state.split * 100;
  panes.right.style.clipPath = state.sides ? "" : `inset(0 0 0 ${place}%)`;
  panes.left.style.clipPath = state.sides ? "" : `inset(0 ${100 - place}% 0 0)`;
  handle.style.left = `${place}%`;
  handle.setAttribute("aria-valuenow", String(Math.round(place)));
  handle.setAttribute("aria-valuetext", `${sourceWith(state.left).label} on the left ${Math.round(place)} %, then ${sourceWith(state.right).label}`);
  $("zoom").textContent = `${Math.round(scale * 100)} %`;
}

/** Zooms by a factor and keeps the picture's point under (x, y), in client pixels, where it is. */
function zoomBy(factor, x, y) {
  const box = paneAt(x, y).getBoundingClientRect(), { width, height } = current();
  const dx = known(x) ? x - box.left - box.width / 2 : 0, dy = known(y) ? y - box.top - box.height / 2 : 0;
  const before = shownScale;
  state.zoom *= factor;
  place();
  state.cx += (dx / width) * (1 / before - 1 / shownScale);
  state.cy += (dy / height) * (1 / before - 1 / shownScale);
  place();
}
function paneAt(x, y) {
  const inside = (pane) => { const b = pane.getBoundingClientRect(); return x >= b.left && x <= b.right && y >= b.top && y <= b.bottom; };
  return (known(x) && state.sides && Object.values(panes).find(inside)) || panes.left;
}
function panBy(dx, dy) {
  state.cx -= dx / (current().width * shownScale);
  state.cy -= dy / (current().height * shownScale);
  place();
}
function splitTo(share) {
  state.split = Math.min(1, Math.max(0, share));
  place();
}
const fitAll = () => { Object.assign(state, { zoom: 1, cx: 0.5, cy: 0.5 }); place(); };
const toReal = () => zoomBy(1 / shownScale);
const step = (by) => show(viewable[(viewable.indexOf(state.picture) + by + viewable.length) % viewable.length]);
const toggle = (name) => { state[name] = !state[name]; fill(); };

// Pointers: one on the line moves it, one elsewhere pans (or moves the line where there is nothing to pan), two pinch.
const pointers = new Map();
let action = "", spread = 0;
stage.addEventListener("pointerdown", (event) => {
  if (event.button) return;
  pointers.set(event.pointerId, [event.clientX, event.clientY]);
  if (pointers.size === 2) { action = "pinch"; spread = distance(); return; }
  const onLine = !state.sides && (handle.contains(event.target) || state.zoom <= 1.001);
  action = onLine ? "split" : "pan";
  if (event.pointerType === "mouse" || handle.contains(event.target)) capture(event.pointerId);
  stage.classList.toggle("moving", action === "pan");
  if (action === "split" && !handle.contains(event.target) && event.pointerType === "mouse") follow(event);
});
const capture = (id) => { try { stage.setPointerCapture(id); } catch { /* the pointer is gone already */ } };
const follow = (event) => { const box = stage.getBoundingClientRect(); splitTo((event.clientX - box.left) / box.width); };
const distance = () => { const [a, b] = [...pointers.values()]; return Math.hypot(a[0] - b[0], a[1] - b[1]); };
stage.addEventListener("pointermove", (event) => {
  const before = pointers.get(event.pointerId);
  if (!before) return;
  pointers.set(event.pointerId, [event.clientX, event.clientY]);
  if (action === "pinch" && pointers.size === 2) {
    const now = distance(), [a, b] = [...pointers.values()];
    panBy((event.clientX - before[0]) / 2, (event.clientY - before[1]) / 2);
    if (spread > 0 && now > 0) zoomBy(now / spread, (a[0] + b[0]) / 2, (a[1] + b[1]) / 2);
    spread = now;
  } else if (action === "split") follow(event);
  else if (action === "pan") panBy(event.clientX - before[0], event.clientY - before[1]);
});
for (const name of ["pointerup", "pointercancel"]) {
  stage.addEventListener(name, (event) => {
    pointers.delete(event.pointerId);
    action = pointers.size ? "pan" : "";
    stage.classList.remove("moving");
  });
}
stage.addEventListener("wheel", (event) => {
  const wanted = event.ctrlKey || stage.contains(document.activeElement);
  if (!wanted || (state.zoom <= 1.001 && event.deltaY > 0 && !event.ctrlKey)) return;
  event.preventDefault();
  zoomBy(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0022)), event.clientX, event.clientY);
}, { passive: false });
stage.addEventListener("dblclick", (event) => (state.zoom > 1.001 ? fitAll() : zoomBy(4, event.clientX, event.clientY)));

handle.addEventListener("keydown", (event) => {
  const size = event.shiftKey ? 0.1 : 0.02;
  const to = { ArrowLeft: state.split - size, ArrowDown: state.split - size, ArrowRight: state.split + size, ArrowUp: state.split + size,
    PageDown: state.split - 0.1, PageUp: state.split + 0.1, Home: 0, End: 1 }[event.key];
  if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  event.stopPropagation();
  splitTo(to);
});
const keys = {
  "+": () => zoomBy(1.5), "=": () => zoomBy(1.5), "-": () => zoomBy(1 / 1.5), 0: fitAll, 1: toReal, n: () => step(1), p: () => step(-1),
  o: () => toggle("hold"), h: () => views.heat && toggle("heat"), s: () => toggle("sides"),
};
const arrows = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
$("viewer").addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("select")) return;
  const arrow = event.target === stage && state.zoom > 1.001 && arrows[event.key];
  const run = arrow ? () => panBy(...arrow) : keys[event.key.toLowerCase()];
  if (!run) return;
  event.preventDefault();
  run();
});
for (const side of ["left", "right"]) $(side).addEventListener("change", (event) => { state[side] = event.target.value; state.hold = false; fill(); });
const presses = { in: () => zoomBy(1.5), out: () => zoomBy(1 / 1.5), fit: fitAll, real: toReal, heat: () => toggle("heat"), hold: () => toggle("hold"),
  slide: () => { state.sides = false; fill(); }, side: () => { state.sides = true; state.hold = false; fill(); } };
for (const [id, run] of Object.entries(presses)) $(id).addEventListener("click", run);
