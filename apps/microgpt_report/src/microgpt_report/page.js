const data = JSON.parse(document.getElementById("data").textContent);
const dark = matchMedia("(prefers-color-scheme: dark)");
function datasets(specification) {
  const used = JSON.stringify(specification);
  const shared = Object.entries(data.datasets)
    .filter(([name]) => used.includes(`"name":"${name}"`));
  return { ...specification.datasets, ...Object.fromEntries(shared) };
}
async function draw() {
  const theme = dark.matches ? "dark" : "light";
  for (const [name, specification] of Object.entries(data.specifications)) {
    await new Promise((shown) => setTimeout(shown));  // render one chart at a time, from top to bottom
    await vegaEmbed(`#${name} .picture`,
      { ...specification, datasets: structuredClone(datasets(specification)) },
      { config: data.configs[theme], renderer: data.renderer, tooltip: { theme },
        actions: { export: true, source: false, compiled: false, editor: false } });
  }
}
dark.addEventListener("change", draw);
draw().then(() => { document.body.dataset.drawn = "yes"; });
