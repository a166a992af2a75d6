// The list of analyses: state, verdict, progress, and two of them chosen for comparison.
import { api } from "../api.ts";
import type { AnalysisList, AnalysisSummary } from "../contract.ts";
import { announce, el, replace, type Child } from "../dom.ts";
import { heading, notice, type Context, type Page } from "../page.ts";
import { go, links } from "../router.ts";
import { count, displayName, isFailed, isRunning, isSucceeded, nameOf, time, prose } from "../words.ts";

const POLL_MILLISECONDS = 2000;

export function stateTag(state: string): HTMLElement {
  const kind = isSucceeded(state) ? "good" : isFailed(state) ? "error" : isRunning(state) ? "running" : "info";
  return el("span", { class: `tag ${kind}` }, displayName(state));
}

export function progressBar(analysis: AnalysisSummary): Child {
  if (!isRunning(analysis.state)) return null;
  const done = analysis.progress?.samples_done ?? 0;
  const total = analysis.progress?.samples_total ?? 0;
  const text = total > 0 ? `${count(done)} of ${count(total)} samples` : (analysis.state === "queued" ? "waits for its turn" : "starts");
  return el(
    "div",
    { class: "progress" },
    el("progress", {
      "aria-label": `Progress of ${nameOf(analysis)}`,
      ...(total > 0 ? { max: total, value: done } : {}),
    }),
    el("span", { class: "soft small" }, text),
  );
}

function verdicts(analysis: AnalysisSummary): Child {
  if (analysis.error) return el("p", { class: "error-text" }, displayName(analysis.error));
  if (analysis.verdicts.length === 0) return null;
  const many = analysis.verdicts.length > 1;
  return el(
    "ul",
    { class: "verdicts" },
    analysis.verdicts.map((verdict) =>
      el(
        "li",
        null,
        many
          ? el(
              "a",
              { class: "verdict-target", href: links.analysis(analysis.id, verdict.target) },
              displayName(verdict.target),
            )
          : null,
        el("span", null, prose(verdict.headline)),
      ),
    ),
  );
}

function card(analysis: AnalysisSummary, chosen: Set<string>, choose: (id: string, on: boolean) => void): HTMLElement {
  const files = [analysis.qat_model, analysis.converted_model].filter(Boolean).map(displayName).join(" → ");
  const box = isSucceeded(analysis.state)
    ? el(
        "label",
        { class: "choose" },
        el("input", {
          type: "checkbox",
          id: `choose-${analysis.id}`,
          checked: chosen.has(analysis.id),
          onchange: (event) => choose(analysis.id, (event.target as HTMLInputElement).checked),
        }),
        "compare",
        el("span", { class: "visually-hidden" }, ` ${nameOf(analysis)}`),
      )
    : null;
  return el(
    "li",
    { class: "card analysis" },
    el(
      "div",
      { class: "card-top" },
      el("h2", null, el("a", { href: links.analysis(analysis.id), id: `analysis-${analysis.id}` }, nameOf(analysis))),
      stateTag(analysis.state),
      box,
    ),
    el(
      "p",
      { class: "soft small facts" },
      el("span", null, time(analysis.create_time)),
      files ? el("span", null, files) : null,
      analysis.track
        ? el("span", null, "track ", el("a", { href: links.track(analysis.track) }, displayName(analysis.track)))
        : null,
    ),
    progressBar(analysis),
    verdicts(analysis),
  );
}

// What was shown of the pages behind the first. What is new to the first page has moved its last ones there.
function olderThan(page: AnalysisList, shown: AnalysisSummary[]): AnalysisSummary[] {
  const last = page.analyses[page.analyses.length - 1];
  if (!page.next_page_token || !last) return [];
  const known = new Set(page.analyses.map((analysis) => analysis.id));
  const oldest = last.create_time ?? "";
  return shown.filter((analysis) => !known.has(analysis.id) && (analysis.create_time ?? "") <= oldest);
}

function emptyNotice(filtered: boolean): HTMLElement {
  if (filtered) {
    const all = el("a", { href: links.analyses() }, "Show all analyses");
    return notice("empty", "No analysis is like that.", el("p", null, all));
  }
  const command =
    "qatgap analyze --server 127.0.0.1:50551 --qat qat.pt \\\n  --samples samples.npz --target pytorch-qnnpack";
  return notice(
    "empty",
    "No analyses yet.",
    el("p", null, "Start one; it appears here by itself:"),
    el("pre", { tabindex: 0, "aria-label": "Command" }, command),
  );
}

export async function analysesView({ route, signal }: Context): Promise<Page> {
  const { state = "", track = "" } = route.parameters;
  let pages = await api.analyses({ state, track }, signal);
  let analyses = pages.analyses;
  let token = pages.next_page_token;
  const chosen = new Set<string>();
  const list = el("ul", { class: "cards" });
  const more = el("p", { class: "row" });
  const comparing = el("div", { class: "comparing", role: "region", "aria-label": "Comparison", hidden: true });

  const choose = (id: string, on: boolean) => {
    if (on) chosen.add(id);
    else chosen.delete(id);
    // In the order of time: the list is newest first, "before" is the older one.
    const two = analyses.filter((analysis) => chosen.has(analysis.id)).reverse();
    comparing.hidden = two.length === 0;
    const [before, after] = two;
    replace(
      comparing,
      el(
        "span",
        null,
        two.length === 2
          ? "2 analyses chosen"
          : two.length === 1
            ? "1 chosen: choose another one"
            : "Choose two, not more",
      ),
      two.length === 2 && before && after
        ? el("a", { class: "button", id: "compare-chosen", href: links.compare(before.id, after.id) }, "Compare")
        : null,
    );
  };

  const empty = el("div");
  const draw = () => {
    replace(empty, analyses.length === 0 ? emptyNotice(Boolean(state || track)) : null);
    const focused = document.activeElement?.id ?? "";
    replace(
      list,
      analyses.map((analysis) => card(analysis, chosen, choose)),
    );
    if (focused && !document.activeElement?.id) document.getElementById(focused)?.focus({ preventScroll: true });
    replace(
      more,
      token
        ? el(
            "button",
            { class: "button", type: "button", id: "more", onclick: () => void loadMore() },
            "Show older ones",
          )
        : null,
    );
  };

  const loadMore = async () => {
    const page = await api.analyses({ state, track, page_token: token }, signal);
    analyses = [...analyses, ...page.analyses];
    token = page.next_page_token;
    draw();
  };

  const poll = async () => {
    try {
      pages = await api.analyses({ state, track }, signal);
    } catch {
      if (!signal.aborted) setTimeout(() => void poll(), 4 * POLL_MILLISECONDS);
      return;
    }
    if (signal.aborted) return;
    const before = new Map(analyses.map((analysis) => [analysis.id, analysis.state]));
    for (const fresh of pages.analyses) {
      const old = before.get(fresh.id);
      if (old !== undefined && old !== fresh.state) announce(`${nameOf(fresh)}: ${displayName(fresh.state)}`);
    }
    const next = [...pages.analyses, ...olderThan(pages, analyses)];
    const changed = JSON.stringify(analyses) !== JSON.stringify(next);
    if (next.length === pages.analyses.length) token = pages.next_page_token;
    analyses = next;
    if (changed) draw();
    setTimeout(() => void poll(), POLL_MILLISECONDS);
  };

  const filter = el(
    "select",
    {
      id: "state",
      onchange: (event) => go(links.analyses({ state: (event.target as HTMLSelectElement).value, track })),
    },
    ["", "queued", "running", "succeeded", "failed", "cancelled"].map((value) =>
      el("option", { value, selected: value === state }, value || "all"),
    ),
  );

  draw();
  setTimeout(() => {
    if (!signal.aborted) void poll();
  }, POLL_MILLISECONDS);
  return {
    title: "Analyses",
    content: [
      heading(
        "Analyses",
        el(
          "div",
          { class: "row" },
          el("label", { for: "state" }, "State"),
          filter,
          track
            ? el(
                "span",
                { class: "chip" },
                `track ${displayName(track)} `,
                el("a", { href: links.analyses({ state }) }, "clear"),
              )
            : null,
        ),
      ),
      comparing,
      empty,
      list,
      more,
    ],
  };
}
