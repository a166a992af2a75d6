// GETs below api/v1, or the answers that a static report carries in itself.
import type {
  Analysis,
  AnalysisList,
  Channels,
  Comparison,
  Graph,
  LayerDetail,
  LayerPage,
  LayerRow,
  TrackList,
  TrackPoint,
} from "./contract.ts";

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

type Query = Record<string, string | number | null | undefined>;

function address(path: string, query: Query): string {
  const text = Object.entries(query)
    .filter(([, value]) => value !== null && value !== undefined && value !== "")
    .map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`)
    .join("&");
  return text ? `${path}?${text}` : path;
}

let embedded: Map<string, unknown> | null = null;

export function isStatic(): boolean {
  return embedded !== null;
}

// The analysis of a static report.
export function staticAnalysis(): string | null {
  for (const path of embedded?.keys() ?? []) {
    const match = /^analyses\/([^/?]+)$/.exec(path);
    if (match?.[1]) return decodeURIComponent(match[1]);
  }
  return null;
}

export async function loadEmbedded(): Promise<void> {
  const element = document.getElementById("qatgap-data");
  if (!element) return;
  const packed = Uint8Array.from(atob((element.textContent ?? "").trim()), (character) => character.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  embedded = new Map(Object.entries(JSON.parse(await new Response(stream).text()) as Record<string, unknown>));
}

async function failure(response: Response): Promise<ApiError> {
  try {
    const body = (await response.json()) as { error?: { code?: string; message?: string } };
    return new ApiError(response.status, body.error?.code ?? "", body.error?.message ?? response.statusText);
  } catch {
    return new ApiError(response.status, "", response.statusText || `HTTP status ${response.status}`);
  }
}

async function get<T>(path: string, query: Query = {}, signal: AbortSignal | null = null): Promise<T> {
  const full = address(path, query);
  if (embedded) {
    if (!embedded.has(full)) throw new ApiError(404, "NOT_FOUND", "This file leaves that part of the report out.");
    return embedded.get(full) as T;
  }
  let response: Response;
  try {
    response = await fetch(`api/v1/${full}`, { headers: { accept: "application/json" }, signal });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, "UNAVAILABLE", "The server does not answer.");
  }
  if (!response.ok) throw await failure(response);
  return (await response.json()) as T;
}

// A succeeded analysis does not change any more, so its parts are kept. Bounded, oldest out first.
const KEPT = 64;
const kept = new Map<string, Promise<unknown>>();

function getOnce<T>(path: string, query: Query = {}): Promise<T> {
  const full = address(path, query);
  const known = kept.get(full);
  if (known) return known as Promise<T>;
  const answer = get<T>(path, query);
  kept.set(full, answer);
  answer.catch(() => kept.delete(full));
  const oldest = kept.keys().next().value;
  if (kept.size > KEPT && oldest !== undefined) kept.delete(oldest);
  return answer;
}

const one = (id: string) => `analyses/${encodeURIComponent(id)}`;

export const api = {
  analyses: (query: { state?: string; track?: string; page_token?: string }, signal: AbortSignal) =>
    get<AnalysisList>("analyses", { page_size: 50, ...query }, signal),

  async analysis(id: string, signal: AbortSignal | null = null): Promise<Analysis> {
    const known = kept.get(one(id));
    if (known) return known as Promise<Analysis>;
    const analysis = await get<Analysis>(one(id), {}, signal);
    if (analysis.report) kept.set(one(id), Promise.resolve(analysis));
    return analysis;
  },

  // All layers in execution order, a page at a time; `more` sees what has come so far.
  async layers(id: string, target: string, more: (rows: LayerRow[]) => void, signal: AbortSignal): Promise<LayerRow[]> {
    const rows: LayerRow[] = [];
    let token = "";
    do {
      const paging = embedded ? {} : { page_size: 200, page_token: token, sort: "order" };
      const page = await getOnce<LayerPage>(`${one(id)}/layers`, { target, ...paging });
      if (signal.aborted) return rows;
      rows.push(...page.layers);
      token = page.next_page_token;
      if (token) more(rows);
    } while (token);
    return rows;
  },

  layer: (id: string, index: number, target: string, input: number) =>
    getOnce<LayerDetail>(`${one(id)}/layers/${index}`, { target, input }),
  channels: (id: string, index: number, target: string, input: number) =>
    getOnce<Channels>(`${one(id)}/layers/${index}/channels`, { target, input }),
  graph: (id: string) => getOnce<Graph>(`${one(id)}/graph`),
  compare: (before: string, after: string, target: string) => getOnce<Comparison>("compare", { before, after, target }),
  tracks: (signal: AbortSignal) => get<TrackList>("tracks", {}, signal),
  track: (name: string, target: string, signal: AbortSignal) =>
    get<{ points: TrackPoint[] }>(`tracks/${encodeURIComponent(name)}`, { target }, signal),
  reportAddress: (id: string, format: string) => `api/v1/${one(id)}/report?format=${format}`,
};
