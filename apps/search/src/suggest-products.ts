import type { Body } from '@jogakbo/contract';
import { SuggestProducts } from '@jogakbo/contracts-search';
import { Handles, type MessageContext } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { findCorrections } from './corrections.ts';
import { suggestSql } from './search-sql.ts';
import { toNameKeystrokes } from './terms.ts';
import { buildTypedQuery } from './term-query.ts';
import { toTextLanguage } from './terms.ts';
import { splitWords } from './words.ts';

@Controller()
export class SuggestProductsHandler {
  constructor(private readonly dataSource: DataSource) {}

  @Handles(SuggestProducts)
  async suggest({ q, limit }: Body<typeof SuggestProducts>, { language }: MessageContext) {
    const words = splitWords(q);
    if (words.length === 0) return { items: [] };
    // Products can share a name, and one product can be found twice.
    const enough = limit * 4;
    const find = (query: string) =>
      this.dataSource.query(suggestSql, [toNameKeystrokes(words), query, enough]) as Promise<Suggested[]>;
    let found = await find(buildTypedQuery(words));
    if (found.length === 0) {
      const corrections = await findCorrections(this.dataSource, words);
      if (corrections.size > 0) found = await find(buildTypedQuery(words, corrections));
    }
    const items = new Map<string, { text: string; productId: string }>();
    for (const { productId, [toTextLanguage(language)]: text } of found) {
      if (!items.has(text)) items.set(text, { text, productId });
    }
    return { items: [...items.values()].slice(0, limit) };
  }
}

interface Suggested {
  productId: string;
  ko: string;
  en: string;
}
