import type { Body, Language } from '@jogakbo/contract';
import { SearchProducts, type Hit } from '@jogakbo/contracts-search';
import { Handles, type MessageContext } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { correctionsOf } from './corrections.ts';
import { decodeCursor, encodeCursor, type Cursor } from './cursor.ts';
import { priceBounds, searchSql } from './search-sql.ts';
import { termQuery, type TermQuery } from './term-query.ts';
import { wordsOf } from './words.ts';

interface Found {
  found: number;
  items: Row[];
  categories: { value: string; count: number }[];
  prices: { range: number; count: number }[];
}

interface Row extends Omit<Hit, 'productId' | 'price' | 'imageUrl' | 'available' | 'name' | 'description'> {
  product_id: string;
  amount: number;
  currency: string;
  image_url: string;
  available: number | null;
  key: number;
  ko: Text;
  en: Text;
}
type Text = Pick<Hit, 'name' | 'description'>;

const nothing: Found = { found: 0, items: [], categories: [], prices: [] };

@Controller()
export class SearchProductsHandler {
  constructor(private readonly dataSource: DataSource) {}

  /** Goes one step further only where nothing was found: all words, all words without their typos, some of the words. */
  @Handles(SearchProducts)
  async search(query: Body<typeof SearchProducts>, { language }: MessageContext) {
    const after = cursorOf(query);
    const words = wordsOf(query.q);
    let step = after?.step ?? 0;
    let corrections = step > 0 ? await correctionsOf(this.dataSource, words) : undefined;
    const find = () => this.#find(query, termQuery(words, step < 2 ? 'all' : 'some', corrections), after);
    let found = words.length > 0 ? await find() : nothing;
    while (words.length > 0 && !after && found.found === 0 && step < 2) {
      corrections ??= await correctionsOf(this.dataSource, words);
      step = step === 0 && corrections.size > 0 ? 1 : 2;
      found = await find();
    }

    const rows = found.items.slice(0, query.limit);
    const last = rows.at(-1);
    return {
      items: rows.map((row) => hit(row, language)),
      nextCursor:
        last && found.items.length > query.limit
          ? encodeCursor({ sort: query.sort, step, key: last.key, productId: last.product_id })
          : null,
      facets: {
        category: found.categories,
        price: found.prices.map(({ range, count }) => ({
          minPrice: priceBounds[range - 1] ?? 0,
          maxPrice: range < priceBounds.length ? priceBounds[range]! - 1 : null,
          count,
        })),
      },
    };
  }

  async #find(
    query: Body<typeof SearchProducts>,
    terms: TermQuery,
    after: Cursor | undefined,
  ): Promise<Found> {
    const { category, minPrice = 0, maxPrice = Number.MAX_SAFE_INTEGER, limit, sort } = query;
    const [found] = (await this.dataSource.query(searchSql[sort], [
      ...[terms.matching, terms.exact, terms.ranking, category ?? null, minPrice, maxPrice, limit + 1],
      ...[after?.key ?? null, after?.productId ?? null, terms.most],
    ])) as [Found];
    return found;
  }
}

function cursorOf({ cursor, sort }: Body<typeof SearchProducts>): Cursor | undefined {
  if (cursor === undefined) return undefined;
  const message = 'is not a cursor of this search';
  const decoded = decodeCursor(cursor, sort);
  if (!decoded) throw SearchProducts.reject('unknown-cursor', message, [{ path: 'cursor', message }]);
  return decoded;
}

function hit(row: Row, language: Language): Hit {
  const { product_id, sku, category, amount, currency, image_url, version, available, score } = row;
  return {
    ...{
      productId: product_id,
      sku,
      ...row[language],
      category,
      price: { amount, currency },
      imageUrl: image_url,
    },
    ...{ version, ...(available !== null && { available }), score: score / 1_000_000 },
  };
}
