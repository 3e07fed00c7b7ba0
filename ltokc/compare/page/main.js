// Puts everything on the page.
metricButtons();
$("plots").hidden = !data.equal.length;
$("dotstext").textContent = `Bytes that the rival needs for the same ${data.metric ? metricOf[data.metric].label : "quality"} as ${data.ours}, picture by picture. Press a dot to look at it.`;
$("all").hidden = data.pictures.length < 2;
if (data.pictures.length > 1) picturesTable();
for (const index of viewable) {
  const picture = data.pictures[index];
  const button = make("button", { type: "button", title: picture.name }, make("img", { alt: picture.name, src: picture.thumb }));
  button.dataset.index = index;
  button.addEventListener("click", () => show(index));
  $("strip").append(button);
}
$("strip").hidden = viewable.length < 2;
$("viewer").hidden = !viewable.length;
const asked = /^#picture-(\d+)$/.exec(location.hash);
if (viewable.length) show(asked && viewable.includes(asked[1] - 1) ? asked[1] - 1 : viewable[0]);
const draw = () => { curves(); dots(); place(); };
draw();
let wide = innerWidth;
addEventListener("resize", () => { if (innerWidth !== wide) { wide = innerWidth; draw(); } else place(); });
