import { heading, type Context, type Page } from "../page.ts";
export async function compareView(_context: Context): Promise<Page> {
  return { title: "compare", content: heading("compare") };
}
