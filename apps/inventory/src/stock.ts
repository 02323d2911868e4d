/** The pieces of one product by place. All received pieces are on hand, reserved or sold. */
export interface Stock {
  productId: string;
  /** Not reserved: shown to shoppers as available. */
  onHand: number;
  reserved: number;
  sold: number;
  received: number;
  /** Number of movements. */
  version: number;
}

export interface Line {
  productId: string;
  quantity: number;
}

type Places = Omit<Stock, 'productId' | 'version'>;

/** The change of each count per piece. */
const movements = {
  receive: { received: +1, onHand: +1 },
  reserve: { onHand: -1, reserved: +1 },
  release: { reserved: -1, onHand: +1 },
  sell: { reserved: -1, sold: +1 },
  /** For an order that was paid after its reservation had expired. */
  sellFromHand: { onHand: -1, sold: +1 },
  takeBack: { sold: -1, onHand: +1 },
} satisfies Record<string, Partial<Places>>;

export type Movement = keyof typeof movements;

/** @throws Error if a count would become negative */
export function applyMovement(stock: Stock, movement: Movement, quantity: number): Stock {
  const result = { ...stock, version: stock.version + 1 };
  for (const [place, sign] of Object.entries(movements[movement]) as [keyof Places, number][]) {
    result[place] += sign * quantity;
    if (result[place] < 0)
      throw new Error(
        `cannot ${movement} ${quantity} of product ${stock.productId}: only ${stock[place]} ${place}`,
      );
  }
  return result;
}

/** Adds up the quantities per product, in the order of first occurrence. */
export function mergeLines(lines: readonly Line[]): Line[] {
  const quantities = new Map<string, number>();
  for (const { productId, quantity } of lines)
    quantities.set(productId, (quantities.get(productId) ?? 0) + quantity);
  return [...quantities].map(([productId, quantity]) => ({ productId, quantity }));
}

/** Returns the first product with too few pieces or without stock; undefined if there is none. */
export function findShortage(
  lines: readonly Line[],
  stock: ReadonlyMap<string, Stock>,
): { productId: string; available: number } | undefined {
  for (const { productId, quantity } of lines) {
    const available = stock.get(productId)?.onHand ?? 0;
    if (available < quantity) return { productId, available };
  }
  return undefined;
}
