import { toPage, type Body } from '@jogakbo/contract';
import { decodeCursor, encodeCursor, SearchProducts, type Hit } from '@jogakbo/contracts-search';
import { Handles, RemoteFault, type MessageContext } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { findCorrections } from './corrections.ts';
import { getPriceRange, searchSql } from './search-sql.ts';
import { buildSkuForms, buildTermQuery, type TermQuery } from './term-query.ts';
import { findShortNoun, splitWords } from './words.ts';
import { toTextLanguage } from './terms.ts';

interface Found {
  found: number;
  currency: string | null;
  items: Row[];
  categories: { value: string; count: number }[];
  currencies: { value: string; count: number }[];
  prices: { range: number; unit: number; count: number }[];
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

const emptyResult: Found = {
  found: 0,
  currency: null,
  items: [],
  categories: [],
  currencies: [],
  prices: [],
};

@Controller()
export class SearchProductsHandler {
  constructor(private readonly dataSource: DataSource) {}

  /**
   * Each step runs only if the previous one found nothing: all words or a SKU, all words without typos and particles,
   * some of the words.
   */
  @Handles(SearchProducts)
  async search(query: Body<typeof SearchProducts>, { language }: MessageContext) {
    const cursor = parseCursor(query);
    const after = cursor === 'restarted' ? undefined : cursor;
    const words = splitWords(query.q);
    let step = after?.step ?? 0;
    let corrections = step > 0 ? await findCorrections(this.dataSource, words) : undefined;
    const find = () => {
      const lenient = step > 0;
      const forms = { skus: buildSkuForms(query.q, lenient), nouns: lenient };
      return this.#find(query, buildTermQuery(words, step < 2 ? 'all' : 'some', corrections, forms), after);
    };
    let found = words.length > 0 ? await find() : emptyResult;
    while (words.length > 0 && after?.step === undefined && found.found === 0 && step < 2) {
      corrections ??= await findCorrections(this.dataSource, words);
      step =
        step === 0 && (corrections.size > 0 || words.some(findShortNoun) || buildSkuForms(query.q, true)[1])
          ? 1
          : 2;
      found = await find();
    }

    const { currency, categories, currencies, prices } = found;
    const { items, nextCursor } = toPage(found.items, query.limit, ({ key, product_id: productId }) =>
      currency ? encodeCursor({ by: 'search', sort: query.sort, step, currency, key, productId }) : null,
    );
    return {
      items: items.map((row) => toHit(row, language)),
      nextCursor,
      currency,
      facets: {
        category: categories,
        currency: currencies,
        price: prices.map(({ range, unit, count }) => ({ ...getPriceRange(range, unit), count })),
      },
      ...(cursor === 'restarted' && { restarted: true as const }),
    };
  }

  async #find(
    query: Body<typeof SearchProducts>,
    terms: TermQuery,
    after: CursorPosition | undefined,
  ): Promise<Found> {
    const { category, minPrice, maxPrice, limit, sort } = query;
    const comparesPrices =
      query.currency !== undefined ||
      minPrice !== undefined ||
      maxPrice !== undefined ||
      sort.startsWith('price');
    const range = [minPrice ?? 0, maxPrice ?? Number.MAX_SAFE_INTEGER];
    try {
      const [found] = (await this.dataSource.query(searchSql[sort], [
        terms.matching,
        terms.exact,
        terms.ranking,
        category ?? null,
        ...range,
        limit + 1,
        after?.key ?? null,
        after?.productId ?? null,
        terms.most,
        query.currency ?? after?.currency ?? null,
        comparesPrices,
      ])) as [Found];
      return found;
    } catch (error) {
      // After an upgrade, until the read model is rebuilt. The gateway falls back to catalog.
      if ((error as { code?: string }).code === undefinedColumn)
        throw new RemoteFault('unavailable', 'the product index is being rebuilt');
      throw error;
    }
  }
}

const undefinedColumn = '42703';

type CursorPosition = Exclude<ReturnType<typeof decodeCursor>, 'restarted' | undefined>;

function parseCursor({
  cursor,
  sort,
  currency,
}: Body<typeof SearchProducts>): CursorPosition | 'restarted' | undefined {
  if (cursor === undefined) return undefined;
  const decoded = decodeCursor(cursor, { by: 'search', sort, currency });
  if (decoded) return decoded;
  const message = 'is not a cursor of this search';
  throw SearchProducts.reject('unknown-cursor', message, [{ path: 'cursor', message }]);
}

function toHit(row: Row, language: string): Hit {
  const { product_id, sku, category, amount, currency, image_url, version, available, score } = row;
  return {
    productId: product_id,
    sku,
    ...row[toTextLanguage(language)],
    category,
    price: { amount, currency },
    imageUrl: image_url,
    version,
    ...(available !== null && { available }),
    score: score / 1_000_000,
  };
}
