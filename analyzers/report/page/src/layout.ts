// Places a directed graph in rows: a node below all its inputs, few crossings, straight chains.
export interface LayoutNode {
  id: number;
  inputs: number[];
}

export interface Placed {
  id: number;
  x: number;
  y: number;
}

export interface Layout {
  width: number;
  height: number;
  nodes: Map<number, Placed>;
  // Centres through which an edge runs, from the producer to the consumer.
  edges: { from: number; to: number; points: { x: number; y: number }[] }[];
}

interface Cell {
  id: number | null;
  rank: number;
  order: number;
  x: number;
  above: Cell[];
  below: Cell[];
}

const NODE_GAP = 26;
const EDGE_GAP = 30;
const ORDER_SWEEPS = 6;
const PLACE_SWEEPS = 10;
// An edge over more rows is drawn as one curve: cells for each row of each long edge would be quadratic in a DenseNet.
const LONGEST_ROUTED = 48;

function ranksOf(nodes: LayoutNode[]): Map<number, number> {
  const ranks = new Map<number, number>();
  // Nodes come behind their inputs, as they are executed; an input that does not is left out.
  for (const node of nodes) {
    ranks.set(node.id, Math.max(-1, ...node.inputs.map((input) => ranks.get(input) ?? -1)) + 1);
  }
  return ranks;
}

function sortRow(row: Cell[], neighbours: (cell: Cell) => Cell[]): void {
  const centre = new Map(
    row.map((cell) => {
      const near = neighbours(cell);
      return [cell, near.length ? near.reduce((sum, other) => sum + other.order, 0) / near.length : cell.order];
    }),
  );
  row.sort((a, b) => (centre.get(a) ?? 0) - (centre.get(b) ?? 0) || a.order - b.order);
  row.forEach((cell, order) => {
    cell.order = order;
  });
}

// The places nearest to the wanted ones, in the least squares sense, that keep order and distances: neighbours that
// would overlap are pooled and share their mean displacement.
function placeRow(row: Cell[], wanted: number[], distance: (a: Cell, b: Cell) => number): void {
  const offsets: number[] = [];
  row.forEach((cell, i) => offsets.push(i === 0 ? 0 : (offsets[i - 1] ?? 0) + distance(row[i - 1] as Cell, cell)));
  const pools: { sum: number; size: number }[] = [];
  for (let i = 0; i < row.length; ++i) {
    let pool = { sum: (wanted[i] ?? 0) - (offsets[i] ?? 0), size: 1 };
    let last = pools[pools.length - 1];
    while (last && last.sum / last.size >= pool.sum / pool.size) {
      pools.pop();
      pool = { sum: last.sum + pool.sum, size: last.size + pool.size };
      last = pools[pools.length - 1];
    }
    pools.push(pool);
  }
  let i = 0;
  for (const pool of pools) {
    for (let k = 0; k < pool.size; ++k, ++i) (row[i] as Cell).x = pool.sum / pool.size + (offsets[i] ?? 0);
  }
}

export function layoutGraph(nodes: LayoutNode[], nodeWidth: number, rowHeight: number): Layout {
  const ranks = ranksOf(nodes);
  const rows: Cell[][] = [];
  const cells = new Map<number, Cell>();
  const put = (id: number | null, rank: number): Cell => {
    const row = (rows[rank] ??= []);
    const cell: Cell = { id, rank, order: row.length, x: 0, above: [], below: [] };
    row.push(cell);
    return cell;
  };
  const join = (upper: Cell, lower: Cell) => {
    upper.below.push(lower);
    lower.above.push(upper);
  };
  const routes: { from: number; to: number; cells: Cell[] }[] = [];
  for (const node of nodes) cells.set(node.id, put(node.id, ranks.get(node.id) ?? 0));
  for (const node of nodes) {
    const to = cells.get(node.id) as Cell;
    for (const input of node.inputs) {
      const from = cells.get(input);
      if (!from || from.rank >= to.rank) continue;
      const route = [from];
      if (to.rank - from.rank <= LONGEST_ROUTED) {
        for (let rank = from.rank + 1; rank < to.rank; ++rank) {
          const cell = put(null, rank);
          join(route[route.length - 1] as Cell, cell);
          route.push(cell);
        }
        join(route[route.length - 1] as Cell, to);
      }
      routes.push({ from: input, to: node.id, cells: [...route, to] });
    }
  }

  for (let sweep = 0; sweep < ORDER_SWEEPS; ++sweep) {
    for (const row of rows) sortRow(row, (cell) => cell.above);
    for (const row of [...rows].reverse()) sortRow(row, (cell) => cell.below);
  }
  const widthOf = (cell: Cell): number => (cell.id === null ? 0 : nodeWidth);
  const distance = (a: Cell, b: Cell): number =>
    (widthOf(a) + widthOf(b)) / 2 + (a.id === null && b.id === null ? EDGE_GAP : NODE_GAP);
  for (const row of rows)
    placeRow(
      row,
      row.map(() => 0),
      distance,
    );
  for (let sweep = 0; sweep < PLACE_SWEEPS; ++sweep) {
    const down = sweep % 2 === 0;
    for (const row of down ? rows : [...rows].reverse()) {
      placeRow(
        row,
        row.map((cell) => {
          const near = down ? cell.above : cell.below;
          return near.length ? near.reduce((sum, other) => sum + other.x, 0) / near.length : cell.x;
        }),
        distance,
      );
    }
  }

  const all = rows.flat();
  const left = Math.min(...all.map((cell) => cell.x - widthOf(cell) / 2)) - NODE_GAP;
  const right = Math.max(...all.map((cell) => cell.x + widthOf(cell) / 2)) + NODE_GAP;
  const at = (cell: Cell) => ({ x: cell.x - left, y: (cell.rank + 0.5) * rowHeight });
  const placed = new Map<number, Placed>();
  for (const [id, cell] of cells) placed.set(id, { id, ...at(cell) });
  return {
    width: right - left,
    height: rows.length * rowHeight,
    nodes: placed,
    edges: routes.map((route) => ({ from: route.from, to: route.to, points: route.cells.map(at) })),
  };
}
