"use strict";
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((d) => { d.open = true; }));

// The contents follow the reader.
{
  const links = [...document.querySelectorAll(".contents a")];
  const places = links.map((a) => document.getElementById(a.hash.slice(1)));
  let waiting = false;
  const follow = () => {
    waiting = false;
    const end = innerHeight + scrollY >= document.documentElement.scrollHeight - 4;
    const passed = places.map((p) => end || p.getBoundingClientRect().top < 140);
    const at = Math.max(0, passed.lastIndexOf(true));
    links.forEach((a, k) => { if (k === at) a.setAttribute("aria-current", "true"); else a.removeAttribute("aria-current"); });
    const list = links[at].closest("ul");
    if (list.scrollWidth > list.clientWidth) list.scrollLeft = links[at].offsetLeft - list.clientWidth / 3;
  };
  addEventListener("scroll", () => { if (!waiting) { waiting = true; requestAnimationFrame(follow); } }, { passive: true });
  follow();
}

// A link into something folded opens it; Escape puts away an explanation.
{
  const reveal = (hash) => {
    const target = hash.length > 1 && document.getElementById(decodeURIComponent(hash.slice(1)));
    if (!target) return;
    for (let d = target.closest("details"); d; d = d.parentElement.closest("details")) d.open = true;
    if (target.matches("section")) { const only = target.querySelectorAll(":scope > details.fold"); if (only.length === 1) only[0].open = true; }
    return target;
  };
  addEventListener("hashchange", () => { const t = reveal(location.hash); if (t) requestAnimationFrame(() => t.scrollIntoView({ behavior: "instant" })); });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#']");
    if (!link || link.closest(".contents")) return;
    reveal(link.hash);
    const choice = link.dataset.choose && document.querySelector("[data-filter=measured] select");
    if (choice) { choice.value = link.dataset.choose; choice.dispatchEvent(new Event("input", { bubbles: true })); }
  });
  document.addEventListener("keydown", (event) => { document.body.classList.toggle("no-tips", event.key === "Escape"); });
  if (location.hash) reveal(location.hash);
}

// Search and filter: what does not match is hidden, and counted.
for (const bar of document.querySelectorAll("[data-filter]")) {
  const items = [...document.getElementById(bar.dataset.filter).querySelectorAll("[data-item]")];
  const words = bar.querySelector("input"), choice = bar.querySelector("select"), count = bar.querySelector("output");
  const sift = () => {
    const asked = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const item of items) {
      const text = item.textContent.toLowerCase();
      const kept = asked.every((w) => text.includes(w)) && (!choice || !choice.value || item.dataset.item === choice.value);
      item.hidden = !kept;
      shown += kept;
    }
    count.textContent = shown === items.length ? "" : `${shown} of ${items.length}`;
  };
  bar.hidden = false;
  bar.addEventListener("input", sift);
}

// Interactive figures: built when they are first seen; plotly.js is unpacked for the first of them.
{
  const packed = document.getElementById("plotly");
  const places = [...document.querySelectorAll("[data-plot]")];
  let ready = null;
  const unpack = async () => {
    const bytes = Uint8Array.from(atob(packed.textContent.trim()), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(stream).text();
    document.head.append(script); // admitted by its hash in the content security policy
    return Boolean(window.Plotly); // if not, the drawing that stands in the page remains
  };
  const options = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d"] };
  const draw = async (place) => {
    ready ??= unpack();
    if (!(await ready)) return;
    const style = getComputedStyle(document.documentElement);
    const colour = (_, v) => {
      const name = typeof v === "string" && /^var\((--[a-z0-9-]+)\)$/.exec(v);
      return name ? style.getPropertyValue(name[1]).trim() : v;
    };
    const plot = JSON.parse(document.getElementById(place.dataset.plot).textContent, colour);
    const figure = place.closest("figure"), least = plot.layout.meta.least_width;
    if (figure.clientWidth < least && figure.querySelector(".still")) return; // the drawing fits better
    place.style.minWidth = `${Math.min(least, 720)}px`;
    place.hidden = false;
    figure.classList.add("live");
    figure.querySelector(".still")?.removeAttribute("tabindex");
    const spare = figure.querySelector("[data-spare]");
    if (spare && !place.dataset.built) spare.open = false;
    place.dataset.built = "yes";
    await window.Plotly.react(place, plot.data, plot.layout, options);
  };
  if (packed && places.length && "DecompressionStream" in window && "IntersectionObserver" in window) {
    const seen = new IntersectionObserver((entries) => {
      for (const entry of entries) if (entry.isIntersecting) {
        seen.unobserve(entry.target);
        draw(entry.target.querySelector("[data-plot]"));
      }
    }, { rootMargin: "400px" });
    places.forEach((place) => seen.observe(place.closest("figure")));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => places.filter((p) => p.dataset.built).forEach(draw));
  }
}
