// Routes are the URL's hash, so that the same links work on the server and in a file on disk.
export type Parameters = Record<string, string>;

export interface Route {
  segments: string[];
  parameters: Parameters;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export function parseRoute(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  const parameters: Parameters = {};
  for (const [name, value] of new URLSearchParams(query)) parameters[name] = value;
  return { segments: path.split("/").filter(Boolean).map(decode), parameters };
}

export function link(
  segments: (string | number)[],
  parameters: Record<string, string | number | null | undefined> = {},
): string {
  const query = Object.entries(parameters)
    .filter(([, value]) => value !== null && value !== undefined && value !== "")
    .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(String(value))}`)
    .join("&");
  return `#/${segments.map((segment) => encodeURIComponent(String(segment))).join("/")}${query ? `?${query}` : ""}`;
}

export function pathOf(route: Route): string {
  return route.segments.map(encodeURIComponent).join("/");
}

export const links = {
  analyses: (parameters: { state?: string; track?: string } = {}) => link([], parameters),
  analysis: (id: string, target?: string) => link(["analyses", id], { target }),
  layer: (id: string, index: number, target: string, input: number, channel?: number | null) =>
    link(["analyses", id, "layers", index], { target, input, channel }),
  graph: (id: string, target: string) => link(["analyses", id, "graph"], { target }),
  compare: (before: string, after: string, target?: string) => link(["compare"], { before, after, target }),
  track: (name: string, target?: string) => link(["tracks", name], { target }),
  tracks: () => link(["tracks"]),
};

export function go(hash: string, keepHistory = true): void {
  if (keepHistory) {
    location.hash = hash;
  } else {
    history.replaceState(null, "", hash);
    window.dispatchEvent(new HashChangeEvent("hashchange"));
  }
}
