// Two plots as SVG: quality over rate, and the rivals' bytes at equal quality, picture by picture.
const SVG = "http://www.w3.org/2000/svg";
function svg(tag, attributes = {}, text) {
  const element = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "fill" || key === "stroke") element.style[key] = value;
    else element.setAttribute(key, value);
  }
  if (text !== undefined) element.textContent = text;
  return element;
}
const titled = (element, text) => { element.append(svg("title", {}, text)); return element; };
function ticks(low, high, count) {
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
  const size = [1, 2, 5, 10].map((k) => k * power).find((k) => k >= rough);
  const out = [];
  for (let t = Math.ceil(low / size) * size; t <= high + 1e-9; t += size) out.push(Math.round(t / size) * size);
  return out;
}
const logTicks = (low, high) => [0.001, 0.01, 0.1, 1, 10, 100].flatMap((p) => [1, 2, 5].map((k) => k * p)).filter((t) => t >= low && t <= high);

function curves() {
  const m = metricOf[metric];
  const series = data.curves.map((c, i) => ({ ...c, colour: colourOf(c.codec, i), points: c.points.filter((p) => known(p.scores[metric])).map((p) => [p.bpp, p.scores[metric], p.quality]) })).filter((c) => c.points.length);
  const marks = data.equal.map((p, i) => ({ ...p, colour: colourOf(p.codec, i), value: p.scores[metric] })).filter((p) => known(p.value));
  const every = [...series.flatMap((c) => c.points.map((p) => [p[0], p[1]])), ...marks.map((p) => [p.bpp, p.value])];
  const chart = $("curve");
  chart.replaceChildren();
  if (!every.length) { $("curvetext").textContent = `${m.label} could not be measured here.`; return; }
  const width = Math.max(320, Math.min(700, chart.clientWidth || 560)), height = Math.round(width * (width < 420 ? 0.9 : 0.72));
  const edge = { left: 46, right: 64, top: 12, bottom: 40 };
  const xs = every.map((p) => Math.log(p[0])), ys = every.map((p) => p[1]);
  const x0 = Math.min(...xs) - 0.12, x1 = Math.max(...xs) + 0.12, pad = (Math.max(...ys) - Math.min(...ys) || 1) * 0.05;
  const y0 = Math.min(...ys) - pad, y1 = Math.max(...ys) + pad;
  const X = (v) => edge.left + ((Math.log(v) - x0) / (x1 - x0)) * (width - edge.left - edge.right);
  const Y = (v) => edge.top + (((m.lower ? v - y0 : y1 - v)) / (y1 - y0)) * (height - edge.top - edge.bottom);
  const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${m.label} over bits per pixel` });
  for (const t of ticks(y0, y1, 6)) {
    root.append(svg("line", { class: "grid", x1: edge.left, x2: width - edge.right, y1: Y(t), y2: Y(t) }));
    root.append(svg("text", { x: edge.left - 7, y: Y(t) + 4, "text-anchor": "end" }, minus(String(+t.toPrecision(6)))));
  }
  for (const t of logTicks(Math.exp(x0), Math.exp(x1))) {
    root.append(svg("line", { class: "grid", y1: edge.top, y2: height - edge.bottom, x1: X(t), x2: X(t) }));
    root.append(svg("text", { x: X(t), y: height - edge.bottom + 17, "text-anchor": "middle" }, String(+t.toPrecision(2))));
  }
  root.append(svg("text", { x: (edge.left + width - edge.right) / 2, y: height - 4, "text-anchor": "middle" }, "bits per pixel, whole files"));
  const ends = [];
  for (const c of [...series].reverse()) { // ours last, on top
    root.append(svg("path", { class: `curve${c.codec === "ltokc" ? " ours" : ""}`, stroke: c.colour, d: "M" + c.points.map((p) => `${X(p[0]).toFixed(1)} ${Y(p[1]).toFixed(1)}`).join("L") }));
    for (const p of c.points) root.append(titled(svg("circle", { cx: X(p[0]), cy: Y(p[1]), r: 2.6, fill: c.colour }), `${c.label}, quality ${+p[2].toPrecision(3)}: ${number(p[0], 3)} bpp, ${m.label} ${number(p[1], m.digits)}`));
    const last = c.points[c.points.length - 1];
    ends.push({ y: Y(last[1]) + 4, label: c.label, colour: c.colour });
  }
  for (const p of marks) {
    root.append(titled(svg("circle", { cx: X(p.bpp), cy: Y(p.value), r: 6.5, fill: "var(--card)", stroke: p.colour, "stroke-width": 3 }), `${p.label} at equal bytes: ${number(p.bpp, 3)} bpp, ${m.label} ${number(p.value, m.digits)}`));
    if (!series.some((c) => c.codec === p.codec)) ends.push({ y: Y(p.value) + 4, label: p.label, colour: p.colour });
  }
  ends.sort((a, b) => a.y - b.y); // names stand in the margin, each by the end of its curve, none over another
  ends.forEach((end, i) => { if (i) end.y = Math.max(end.y, ends[i - 1].y + 15); });
  for (const end of ends) root.append(svg("text", { class: "name", x: width - edge.right + 7, y: end.y, fill: end.colour }, end.label));
  chart.append(root);
  const lines = series.length ? `Lines: each codec over its qualities, mean of ${data.curvePictures} picture${data.curvePictures === 1 ? "" : "s"}. ` : "";
  const rings = data.rivals.length ? "Rings: the files of this report, rivals at the bytes of ours." : "Rings: the files of this report.";
  $("curvetext").textContent = `${m.label} (${m.lower ? "lower" : "higher"} is better) over the bytes of whole files. ${lines}${rings}`;
}

function dots() {
  const rows = data.rivals.map((rival, i) => ({
    ...rival, colour: colourOf(rival.name, i),
    values: data.pictures.flatMap((picture, index) => {
      const found = picture.rivals.find((r) => r.name === rival.name);
      return found && known(found.equal.bytes) && found.equal.metric === data.metric ? [{ index, name: picture.name, value: found.equal.bytes / picture.files[0].bytes }] : [];
    }),
  })).filter((row) => row.values.length);
  const chart = $("dots"), figure = chart.closest("figure");
  figure.hidden = !rows.length;
  if (!rows.length) return;
  const width = Math.max(320, Math.min(700, chart.clientWidth || 560)), edge = { left: 16, right: 20, top: 22, bottom: 46 };
  const rowHeight = Math.max(84, Math.min(150, (width * 0.72 - edge.top - edge.bottom) / rows.length));
  const height = edge.top + edge.bottom + rowHeight * rows.length;
  const logs = rows.flatMap((row) => row.values.map((v) => Math.log(v.value)));
  const x0 = Math.min(...logs, Math.log(0.8)) - 0.08, x1 = Math.max(...logs, Math.log(1.6)) + 0.08;
  const X = (v) => edge.left + ((Math.log(v) - x0) / (x1 - x0)) * (width - edge.left - edge.right);
  const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": $("dotstext").textContent });
  for (const t of [0.25, 0.5, 0.7, 1, 1.4, 2, 3, 4, 6, 8, 12, 16].filter((t) => Math.log(t) >= x0 && Math.log(t) <= x1)) {
    root.append(svg("line", { class: t === 1 ? "one" : "grid", x1: X(t), x2: X(t), y1: edge.top - 8, y2: height - edge.bottom }));
    root.append(svg("text", { x: X(t), y: height - edge.bottom + 17, "text-anchor": "middle" }, `${t}×`));
  }
  root.append(svg("text", { x: edge.left, y: height - 6 }, "← rival needs fewer"));
  root.append(svg("text", { x: width - edge.right, y: height - 6, "text-anchor": "end", fill: "var(--ltokc)" }, "rival needs more →"));
  rows.forEach((row, i) => {
    const middle = edge.top + rowHeight * (i + 0.58), placed = [];
    root.append(svg("text", { class: "name", x: edge.left, y: middle - 26, fill: row.colour }, row.label));
    for (const v of [...row.values].sort((a, b) => a.value - b.value)) {
      const x = X(v.value);
      let level = 0; // dots that would cover each other are stacked
      while (placed.some((p) => p.level === level && Math.abs(p.x - x) < 9)) level = level > 0 ? -level : 1 - level;
      if (Math.abs(level) > 3) level = 0;
      placed.push({ x, level });
      const dot = titled(svg("circle", { class: "hit", cx: x, cy: middle + level * 8, r: 4.4, fill: row.colour, "fill-opacity": 0.85 }), `${v.name}: ${row.label} needs ${ratio(v.value)} the bytes`);
      dot.addEventListener("click", () => { if (!known(data.pictures[v.index].view)) return; state.right = row.name; show(v.index); fill(); $("viewer").scrollIntoView(); });
      root.append(dot);
    }
    const mean = Math.exp(row.values.reduce((sum, v) => sum + Math.log(v.value), 0) / row.values.length);
    root.append(svg("line", { x1: X(mean), x2: X(mean), y1: middle - 19, y2: middle + 19, stroke: row.colour, "stroke-width": 2.5 }));
    const inside = X(mean) < width - 100;
    const anchor = { x: X(mean) + (inside ? 6 : -6), "text-anchor": inside ? "start" : "end" };
    root.append(svg("text", { class: "name", y: middle - 26, ...anchor }, `mean ${ratio(mean)}`));
  });
  chart.replaceChildren(root);
}

function metricButtons() {
  for (const m of data.metrics) {
    const button = make("button", { type: "button", textContent: m.label, title: m.hint });
    button.setAttribute("aria-pressed", String(m.key === metric));
    button.addEventListener("click", () => {
      metric = m.key;
      for (const other of $("metrics").children) other.setAttribute("aria-pressed", String(other === button));
      curves();
      picturesTable();
    });
    $("metrics").append(button);
  }
}
