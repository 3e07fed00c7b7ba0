// Tables that sort: the files of the shown picture, and every picture of the set.
/** Fills a table; columns: {title, value(row), cell(row) -> td, group, start}; a press on a heading sorts by its value. */
function table(element, caption, columns, rows, foot, order = { column: null, down: false }) {
  const sorted = [...rows];
  if (order.column !== null) {
    const value = columns[order.column].value;
    sorted.sort((a, b) => {
      const x = value(a), y = value(b);
      if (!known(x) || !known(y)) return known(y) - known(x); // what is not known comes last, either way
      const by = typeof x === "string" ? x.localeCompare(y, "en", { numeric: true }) : x - y;
      return order.down ? -by : by;
    });
  }
  const groups = make("tr");
  for (let i = 0; i < columns.length; ) {
    let span = 1;
    while (i + span < columns.length && columns[i + span].group === columns[i].group) span += 1;
    groups.append(make("th", { colSpan: span, className: `group${columns[i].start ? " start" : ""}`, scope: "colgroup", textContent: columns[i].group || "" }));
    i += span;
  }
  const heads = columns.map((column, i) => {
    const th = make("th", { scope: "col", className: column.start ? "start" : "" });
    const button = make("button", { type: "button", textContent: column.title, title: column.hint || "" });
    button.addEventListener("click", () => {
      const down = order.column === i ? !order.down : Boolean(column.down);
      table(element, caption, columns, rows, foot, { column: i, down });
      element.querySelectorAll("thead button")[i].focus();
    });
    if (order.column === i) th.setAttribute("aria-sort", order.down ? "descending" : "ascending");
    th.append(button);
    return th;
  });
  const head = make("thead", {}, ...(columns.some((c) => c.group) ? [groups] : []), make("tr", {}, ...heads));
  const body = make("tbody", {}, ...sorted.map((row) => {
    const tr = make("tr", { className: row.on && row.on() ? "on" : "" }, ...columns.map((column) => {
      const td = column.cell(row);
      if (column.start) td.classList.add("start");
      return td;
    }));
    if (known(row.index)) tr.dataset.index = row.index;
    return tr;
  }));
  const end = foot ? [make("tfoot", {}, make("tr", {}, ...foot))] : [];
  element.replaceChildren(make("caption", { className: "skip", textContent: caption }), head, body, ...end);
}
const plain = (text, title = "", className = "") => make("td", { textContent: text, title, className });

function filesTable() {
  const rows = sources.filter((s) => s.record).map((source) => ({ source, record: source.record }));
  const named = (row) => make("td", {}, dotted(row.source.colour), row.source.label);
  const columns = [
    { title: "File", value: (row) => row.source.label, cell: named },
    { title: "Bytes", value: (row) => row.record.bytes, cell: (row) => plain(whole.format(row.record.bytes)) },
    { title: "bpp", value: (row) => row.record.bpp, cell: (row) => plain(number(row.record.bpp, 3)) },
    { title: "Quality", hint: "On the codec's own scale", value: (row) => row.record.quality, cell: (row) => plain(known(row.record.quality) && row.record.quality >= 0 ? String(+row.record.quality.toPrecision(3)) : "–") },
    ...data.metrics.map((m) => ({ title: m.label, down: !m.lower, value: (row) => row.record.scores[m.key], cell: (row) => plain(score(row.record.scores, m.key)) })),
    { title: "", value: () => null, cell: (row) => plain([row.source.note, viewOf(row.source).note].filter(Boolean).join("; "), "", "quiet") },
  ];
  table($("files"), `Files of ${current().name}`, columns, rows, null);
}
function dotted(colour) {
  const dot = make("span", { className: "dot" });
  dot.style.background = colour;
  return dot;
}

let metric = data.metric;
function picturesTable() {
  const rows = data.pictures.map((picture, index) => ({ picture, index, on: () => index === state.picture }));
  const rival = (row, name) => row.picture.rivals.find((r) => r.name === name);
  const equal = (row, name) => { const r = rival(row, name); return r && known(r.equal.bytes) && r.equal.metric === data.metric ? r.equal.bytes / row.picture.files[0].bytes : null; };
  const m = metricOf[metric], all = (row) => [row.picture.files[0].scores[metric], ...row.picture.rivals.map((r) => r.same.scores[metric])].filter(known);
  const best = (row, value) => known(value) && value === (m.lower ? Math.min(...all(row)) : Math.max(...all(row)));
  const nameCell = (row) => {
    const title = row.picture.source || row.picture.name;
    if (!known(row.picture.view)) return plain(row.picture.name, `${title}: not shown, the report would grow too large`);
    const button = make("button", { type: "button", className: "name", textContent: row.picture.name, title });
    button.addEventListener("click", () => { show(row.index); $("viewer").scrollIntoView(); stage.focus({ preventScroll: true }); });
    return make("td", {}, button);
  };
  const cellOf = (scores, row, title, scale) => {
    const td = plain(score(scores, metric), title, best(row, scores[metric]) ? "best" : "");
    if (scale > 1) td.append(make("sup", { textContent: scale === 2 ? "½" : "¼", title: `encoded at ${scaled[scale]}` }));
    return td;
  };
  const group = `${m.label} at equal bytes`;
  const columns = [
    { title: "Picture", value: (row) => row.picture.name, cell: nameCell },
    { title: "Bytes", value: (row) => row.picture.files[0].bytes, cell: (row) => plain(whole.format(row.picture.files[0].bytes)) },
    { title: "bpp", value: (row) => row.picture.files[0].bpp, cell: (row) => plain(number(row.picture.files[0].bpp, 3)) },
    { title: data.ours, group, start: true, down: !m.lower, value: (row) => row.picture.files[0].scores[metric], cell: (row) => cellOf(row.picture.files[0].scores, row, bytes(row.picture.files[0].bytes), 1) },
    ...data.rivals.map((r) => ({
      title: r.label, group, down: !m.lower, value: (row) => rival(row, r.name)?.same.scores[metric],
      cell: (row) => { const found = rival(row, r.name); return found ? cellOf(found.same.scores, row, `${bytes(found.same.bytes)}, ${belowText(found)}`, found.same.scale) : plain("–"); },
    })),
    ...data.rivals.map((r, i) => ({
      title: r.label, group: `Bytes for equal ${metricOf[data.metric].label}, ${data.ours} = 1`, start: !i, down: true, value: (row) => equal(row, r.name),
      cell: (row) => {
        const value = equal(row, r.name), found = rival(row, r.name);
        if (!known(value)) return plain("–", found ? "its best file is worse" : "");
        const cell = plain((found.equal.bound ? "≤ " : "") + ratio(value), `${whole.format(found.equal.bytes)} bytes`, value < 1 ? "best" : "");
        if (found.equal.scale > 1) cell.append(make("sup", { textContent: found.equal.scale === 2 ? "½" : "¼", title: `encoded at ${scaled[found.equal.scale]}` }));
        return cell;
      },
    })),
  ];
  const mean = (values) => { const some = values.filter(known); return some.length ? some.reduce((a, b) => a + b, 0) / some.length : null; };
  const foot = [make("th", { scope: "row", textContent: "Mean" }), plain(whole.format(mean(rows.map(columns[1].value)))), plain(number(mean(rows.map(columns[2].value)), 3)),
    ...columns.slice(3, 4 + data.rivals.length).map((c) => plain(number(mean(rows.map(c.value)), m.digits))),
    ...columns.slice(4 + data.rivals.length).map((c) => { const logs = rows.map(c.value).filter(known).map(Math.log); return plain(logs.length ? ratio(Math.exp(mean(logs))) : "–", "geometric mean"); })];
  foot.forEach((td, i) => columns[i].start && td.classList.add("start"));
  table($("pictures"), "Every picture", columns, rows, foot);
}
