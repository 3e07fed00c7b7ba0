// What all parts of the page use: the data, elements, numbers as text, the files of one picture, light and dark.
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const metricOf = Object.fromEntries(data.metrics.map((m) => [m.key, m]));

function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (key in element && key !== "role") element[key] = value;
    else element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}
const minus = (text) => text.replace("-", "−");
const known = (value) => value !== null && value !== undefined;
const number = (value, digits) => (known(value) ? minus(value.toFixed(digits)) : "–");
const score = (scores, key) => number(scores[key], metricOf[key].digits);
const bytes = (n) => whole.format(n) + " bytes";
const ratio = (r) => (r >= 9.95 ? r.toFixed(0) : r.toFixed(2)) + "×";
const scaled = { 2: "half size", 4: "quarter size" };

// theme
$("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});

// the files of one picture
const colourOf = (codec, index) => {
  const family = codec.split("_")[0];
  return ["ltokc", "jpeg", "webp", "avif", "jxl"].includes(family) ? `var(--${family})` : `var(--f${index % 4})`;
};
const sourcesOf = (picture) => [
  { key: "original", label: "Original", colour: "var(--soft)", record: null, note: "" },
  ...picture.files.map((file, i) => ({
    key: `file${i}`, label: file.label, colour: colourOf(i && file.codec === "ltokc" ? "" : file.codec, i), record: file, file: i, note: "",
  })),
  ...picture.rivals.map((rival, i) => ({
    key: rival.name, label: rival.label, colour: colourOf(rival.name, i), record: rival.same, rival: i, note: belowText(rival),
  })),
];
function belowText(rival) {
  const share = Math.abs(100 * rival.below).toFixed(1) + " %";
  const place = rival.below < 0 ? `its smallest file, ${share} larger` : `${share} below`;
  return rival.same.scale > 1 ? `${place}, encoded at ${scaled[rival.same.scale]}` : place;
}
