import { heading, type Context, type Page } from "../page.ts";
export async function analysisView(_context: Context): Promise<Page> {
  return { title: "analysis", content: heading("analysis") };
}
