// What a view gets and gives, and the parts that every view uses: headings, paths back, errors, targets.
import { ApiError, isStatic } from "./api.ts";
import type { Route } from "./router.ts";
import { el, type Child } from "./dom.ts";
import { displayName } from "./words.ts";

export interface Context {
  route: Route;
  signal: AbortSignal;
  // Shows the same route again, with new data.
  refresh: () => void;
}

export interface Page {
  title: string;
  content: Child;
}

export type View = (context: Context) => Promise<Page>;

export function heading(title: string, ...beside: Child[]): HTMLElement {
  return el("div", { class: "heading" }, el("h1", { tabindex: -1, id: "title" }, title), beside);
}

export function trail(...steps: [string, string | null][]): HTMLElement {
  return el(
    "nav",
    { class: "trail", "aria-label": "Where you are" },
    el(
      "ol",
      null,
      steps.map(([text, href]) =>
        el("li", null, href ? el("a", { href }, text) : el("span", { "aria-current": "page" }, text)),
      ),
    ),
  );
}

export function notice(kind: "error" | "empty" | "note", title: string, ...children: Child[]): HTMLElement {
  return el(
    "div",
    { class: `notice ${kind}`, role: kind === "error" ? "alert" : null },
    el("p", { class: "notice-title" }, title),
    children,
  );
}

export function targetSwitch(names: string[], current: string, href: (name: string) => string): Child {
  if (names.length < 2) return null;
  return el(
    "nav",
    { class: "switch", "aria-label": "Target" },
    el("span", { class: "switch-label", "aria-hidden": "true" }, "Target"),
    el(
      "ul",
      null,
      names.map((name) =>
        el(
          "li",
          null,
          el(
            "a",
            {
              href: href(name),
              id: `target-${name}`,
              "aria-current": name === current ? "true" : null,
            },
            displayName(name),
          ),
        ),
      ),
    ),
  );
}

export function definitions(rows: [string, Child][]): HTMLElement {
  return el(
    "dl",
    null,
    rows.map(([term, value]) => [el("dt", null, term), el("dd", null, value)]),
  );
}

export function severityTag(severity: string): HTMLElement {
  const known = ["error", "warning", "info"].includes(severity) ? severity : "info";
  return el("span", { class: `tag ${known}` }, severity);
}

export function remedy(error: unknown): { title: string; advice: string } {
  if (error instanceof ApiError) {
    if (error.status === 0) {
      return {
        title: error.message,
        advice: "Check that qatgapd runs and that this address is still its own, then try again.",
      };
    }
    if (error.status === 404) {
      return {
        title: displayName(error.message),
        advice: isStatic()
          ? "A report file stays small by leaving out details of the layers with the least difference; the JSON report has all."
          : "It may have been deleted. The list of analyses shows what there is.",
      };
    }
    return { title: displayName(error.message), advice: "Try again; if it stays, the server's log says more." };
  }
  return {
    title: "The page could not show this.",
    advice: error instanceof Error ? displayName(error.message) : "Reload the page.",
  };
}
