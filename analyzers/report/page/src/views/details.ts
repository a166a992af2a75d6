// What the report keeps of single samples, channels and biases: tables that the server has put into words.
import type { DetailTable } from "../contract.ts";
import { el, section, type Child } from "../dom.ts";
import { links } from "../router.ts";
import { dataTable, type Column } from "../table.ts";
import { displayName } from "../words.ts";

function cellOf(id: string, target: string, table: DetailTable, row: DetailTable["rows"][number], at: number): Child {
  const text = displayName(row.cells[at] ?? "");
  if (table.columns[at]?.kind !== "name" || row.layer_index === null) return text;
  return el("a", { href: links.layer(id, row.layer_index, target, 0), class: "clip", title: text }, text);
}

// rem, of the header on one line.
const widthOf = (title: string): number => Math.max(5.5, 1.5 + 0.48 * title.length);

export function detailSections(id: string, target: string, tables: DetailTable[]): Child {
  return tables.map((table, index) => {
    const columns = table.columns.map(
      (column, at): Column<DetailTable["rows"][number]> => ({
        id: `${index}-${at}`,
        label: column.title.charAt(0).toUpperCase() + column.title.slice(1),
        numeric: column.kind === "number",
        width: column.kind === "text" && at > 0 && at === table.columns.length - 1 ? 22 : widthOf(column.title),
        cell: (row) => cellOf(id, target, table, row, at),
      }),
    );
    return section(
      table.title,
      { id: `detail-${index}` },
      el("p", { class: "lead" }, `${table.caption}.`),
      dataTable({ caption: table.caption, rows: table.rows, columns }).element,
    );
  });
}
