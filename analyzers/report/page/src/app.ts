// Starts the page: routes to views, swaps them in, looks after title, focus and scrolling.
import { ApiError, isStatic, loadEmbedded, staticAnalysis } from "./api.ts";
import { announce, el, replace } from "./dom.ts";
import { heading, notice, remedy, type Context, type Page, type View } from "./page.ts";
import { links, parseRoute, pathOf, type Route } from "./router.ts";
import { analysesView } from "./views/analyses.ts";
import { analysisView } from "./views/analysis.ts";
import { compareView } from "./views/compare.ts";
import { graphView } from "./views/graph.ts";
import { layerView } from "./views/layer.ts";
import { trackView, tracksView } from "./views/track.ts";

const SLOW_MILLISECONDS = 150;

const main = document.getElementById("main") as HTMLElement;
let shown = "";
let leave = new AbortController();

function viewOf(route: Route): View | null {
  const [first, second, third, fourth, ...rest] = route.segments;
  if (rest.length > 0) return null;
  if (first === undefined) return analysesView;
  if (first === "analyses") {
    if (second === undefined) return analysesView;
    if (third === undefined) return analysisView;
    if (third === "graph" && fourth === undefined) return graphView;
    if (third === "layers" && fourth !== undefined && /^\d+$/.test(fourth)) return layerView;
  }
  if (first === "compare" && second === undefined) return compareView;
  if (first === "tracks" && third === undefined) return second === undefined ? tracksView : trackView;
  return null;
}

function failurePage(error: unknown): Page {
  const { title, advice } = remedy(error);
  return {
    title: "Not shown",
    content: [
      heading("Not shown"),
      notice(
        "error",
        title,
        el("p", null, advice),
        el(
          "p",
          { class: "row" },
          el("button", { class: "button", type: "button", onclick: () => void show(true) }, "Try again"),
          el("a", { href: "#/" }, isStatic() ? "Back to the report" : "All analyses"),
        ),
      ),
    ],
  };
}

async function show(again = false): Promise<void> {
  let route = parseRoute(location.hash);
  const only = staticAnalysis();
  if (only && route.segments.length === 0) route = { ...route, segments: ["analyses", only] };
  const path = pathOf(route);
  const samePath = path === shown && !again;
  leave.abort();
  const mine = new AbortController();
  leave = mine;
  const slow = setTimeout(() => {
    if (!samePath) replace(main, el("p", { class: "loading", role: "status" }, "Loading …"));
    main.setAttribute("aria-busy", "true");
  }, SLOW_MILLISECONDS);
  const context: Context = { route, signal: mine.signal, refresh: () => void show() };
  let page: Page;
  try {
    const view = viewOf(route);
    if (!view) throw new ApiError(404, "NOT_FOUND", "There is no such page.");
    page = await view(context);
  } catch (error) {
    if (mine.signal.aborted) return;
    page = failurePage(error);
  } finally {
    clearTimeout(slow);
  }
  if (mine.signal.aborted) return;
  swap(page, path, samePath);
}

// On the same page (another target, channel or order) focus and scrolling stay; on a new page they start at its title.
function swap(page: Page, path: string, samePath: boolean): void {
  const focused = document.activeElement?.id ?? "";
  const first = shown === "";
  const top = window.scrollY;
  replace(main, page.content);
  main.removeAttribute("aria-busy");
  document.title = `${page.title} · qatgap`;
  shown = path;
  for (const item of document.querySelectorAll("#nav a")) {
    const here = parseRoute(item.getAttribute("href") ?? "").segments.join("/") === path;
    item.toggleAttribute("aria-current", false);
    if (here) item.setAttribute("aria-current", "page");
  }
  if (samePath) {
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
    window.scrollTo(0, top);
  } else {
    window.scrollTo(0, 0);
    if (!first) document.getElementById("title")?.focus({ preventScroll: true });
    announce(page.title);
  }
}

function chrome(): void {
  const nav = document.getElementById("nav");
  if (nav && !isStatic()) {
    replace(nav, el("a", { href: links.analyses() }, "Analyses"), el("a", { href: links.tracks() }, "Tracked models"));
  } else {
    nav?.remove();
  }
  const footer = document.getElementById("footer");
  if (footer) {
    replace(
      footer,
      el(
        "p",
        null,
        el("b", null, "LSB"),
        ": one step of a layer's output code, the unit of every difference. ",
        el("b", null, "Injected"),
        ": each layer gets the inputs of the trained model. ",
        el("b", null, "Accumulated"),
        ": the whole network runs, errors travel. ",
        el("b", null, "Share"),
        ": part of the squared difference; shares add up to 100 %, a negative one offsets the others.",
      ),
    );
  }
  document.querySelector(".skip")?.addEventListener("click", (event) => {
    event.preventDefault();
    main.focus();
  });
}

async function start(): Promise<void> {
  try {
    await loadEmbedded();
  } catch {
    replace(
      main,
      heading("Not shown"),
      notice(
        "error",
        "The data inside this file cannot be read.",
        el(
          "p",
          null,
          "The file is damaged, or the browser is too old: it must know DecompressionStream (2023 or newer).",
        ),
      ),
    );
    return;
  }
  chrome();
  window.addEventListener("hashchange", () => void show());
  await show();
}

void start();
