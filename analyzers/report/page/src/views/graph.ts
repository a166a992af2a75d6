import { heading, type Context, type Page } from "../page.ts";
export async function graphView(_context: Context): Promise<Page> {
  return { title: "graph", content: heading("graph") };
}
