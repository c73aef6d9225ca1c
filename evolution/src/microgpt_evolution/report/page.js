const data = JSON.parse(document.getElementById("data").textContent);
const dark = matchMedia("(prefers-color-scheme: dark)");
const narrow = matchMedia("(max-width: 40rem)");
const AXIS = 90;  // pixels beside a chart for its axis and the menu
function fit(view, room) {  // shrink charts, and stack those that stand side by side
  if (view.width > room) view.width = room;
  if (view.columns) view.columns = 1;
  if (view.hconcat) [view.vconcat, view.hconcat] = [view.hconcat, undefined];
  if (view.spec) fit(view.spec, room);
  for (const part of view.vconcat ?? view.concat ?? []) fit(part, room);
}
async function draw() {
  const theme = dark.matches ? "dark" : "light";
  const config = structuredClone(data.configs[theme]);
  if (narrow.matches) config.legend.columns = 1;
  for (const [name, specification] of Object.entries(data.specifications)) {
    await new Promise((shown) => setTimeout(shown));  // render one chart at a time, from top to bottom
    const picture = document.querySelector(`#${name} .picture`);
    const chart = structuredClone(specification);
    if (narrow.matches) fit(chart, picture.clientWidth - AXIS);
    await vegaEmbed(picture, chart,
      { config, renderer: data.renderer, tooltip: { theme },
        actions: { export: true, source: false, compiled: false, editor: false } });
  }
}
for (const media of [dark, narrow]) media.addEventListener("change", draw);
draw().then(() => { document.body.dataset.drawn = "yes"; });
