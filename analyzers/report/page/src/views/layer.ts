import { heading, type Context, type Page } from "../page.ts";
export async function layerView(_context: Context): Promise<Page> {
  return { title: "layer", content: heading("layer") };
}
