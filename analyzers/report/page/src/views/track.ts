import { heading, type Context, type Page } from "../page.ts";
export async function tracksView(_context: Context): Promise<Page> {
  return { title: "Tracked models", content: heading("Tracked models") };
}
export async function trackView(_context: Context): Promise<Page> {
  return { title: "Track", content: heading("Track") };
}
