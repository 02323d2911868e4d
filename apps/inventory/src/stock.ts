/** Where the pieces of one product are. All that were ever received are on hand, reserved or sold. */
export interface Stock {
  productId: string;
  /** Free to be reserved: what a shopper sees as available. */
  onHand: number;
  reserved: number;
  sold: number;
  received: number;
  /** Counts its movements. */
  version: number;
}

export interface Line {
  productId: string;
  quantity: number;
}

type Places = Omit<Stock, 'productId' | 'version'>;

/** What one piece does to the counts. */
const movements = {
  receive: { received: +1, onHand: +1 },
  reserve: { onHand: -1, reserved: +1 },
  release: { reserved: -1, onHand: +1 },
  sell: { reserved: -1, sold: +1 },
  /** For an order whose reservation ran out before it was paid for. */
  sellFromHand: { onHand: -1, sold: +1 },
  takeBack: { sold: -1, onHand: +1 },
} satisfies Record<string, Partial<Places>>;

export type Movement = keyof typeof movements;

/** @throws Error where a place would hold less than nothing */
export function moved(stock: Stock, movement: Movement, quantity: number): Stock {
  const result = { ...stock, version: stock.version + 1 };
  for (const [place, sign] of Object.entries(movements[movement]) as [keyof Places, number][]) {
    result[place] += sign * quantity;
    if (result[place] < 0)
      throw new Error(`${movement} ${quantity} of product ${stock.productId}: only ${stock[place]} ${place}`);
  }
  return result;
}

/** One line per product, in the order of their first mention. */
export function merged(lines: readonly Line[]): Line[] {
  const quantities = new Map<string, number>();
  for (const { productId, quantity } of lines)
    quantities.set(productId, (quantities.get(productId) ?? 0) + quantity);
  return [...quantities].map(([productId, quantity]) => ({ productId, quantity }));
}

/** The first product that there is too little of, or that nobody has heard of; undefined where all can be had. */
export function firstShortage(
  lines: readonly Line[],
  stock: ReadonlyMap<string, Stock>,
): { productId: string; available: number } | undefined {
  for (const { productId, quantity } of lines) {
    const available = stock.get(productId)?.onHand ?? 0;
    if (available < quantity) return { productId, available };
  }
  return undefined;
}
