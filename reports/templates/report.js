"use strict";
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((d) => { d.open = true; }));

(async () => {
  const packed = document.getElementById("plotly");
  const places = [...document.querySelectorAll("[data-plot]")];
  if (!packed || !places.length || !("DecompressionStream" in window)) return;

  const bytes = Uint8Array.from(atob(packed.textContent.trim()), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = document.createElement("script");
  script.textContent = await new Response(stream).text();
  document.head.append(script); // admitted by its hash in the content security policy
  if (!window.Plotly) return; // the drawing that stands in the page remains

  const options = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d"] };
  const draw = () => {
    const style = getComputedStyle(document.documentElement);
    const colour = (_, v) => {
      const name = typeof v === "string" && /^var\((--[a-z0-9-]+)\)$/.exec(v);
      return name ? style.getPropertyValue(name[1]).trim() : v;
    };
    for (const place of places) {
      const plot = JSON.parse(document.getElementById(place.dataset.plot).textContent, colour);
      const figure = place.closest("figure");
      if (figure.clientWidth < plot.layout.meta.least_width && figure.querySelector(".still svg, .still figure")) continue;
      place.hidden = false;
      place.closest("figure").classList.add("live");
      window.Plotly.react(place, plot.data, plot.layout, options);
    }
  };
  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
})();
