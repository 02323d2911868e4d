import { randomUUIDv7 } from 'node:crypto';
import type { Body } from '@jogakbo/contract';
import type { ProductAdded } from '@jogakbo/contracts-catalog';

const pairs = (text: string): [string, string][] =>
  text.split(',').map((pair) => pair.trim().split('/') as [string, string]);

const makers = pairs(
  '한산/Hansan, 안동/Andong, 담양/Damyang, 이천/Icheon, 강화/Ganghwa, 통영/Tongyeong, 전주/Jeonju, 하동/Hadong, 보성/Boseong, 제주/Jeju, 남원/Namwon, 여주/Yeoju',
);
const materials = pairs(
  '모시/ramie, 삼베/hemp, 무명/cotton, 명주/silk, 백자/porcelain, 청자/celadon, 분청/buncheong, 옹기/onggi, 한지/hanji, 대나무/bamboo, 소나무/pine, 느티나무/zelkova, 오동나무/paulownia, 옻칠/lacquered, 나전/inlaid, 방짜/bronze, 무쇠/iron, 은/silver, 황동/brass, 왕골/sedge, 볏짚/straw, 양모/wool, 누비/quilted, 자개/shell, 도자/ceramic',
);
const patterns = pairs(
  '구름/cloud, 학/crane, 모란/peony, 매화/plum, 국화/chrysanthemum, 연꽃/lotus, 나비/butterfly, 물고기/fish, 호랑이/tiger, 까치/magpie, 달/moon, 산/mountain, 물결/wave, 대숲/grove, 별/star, 격자/lattice',
);
const things = pairs(
  '조각보/patchwork, 보자기/bojagi, 찻잔/teacup, 접시/plate, 밥그릇/bowl, 쟁반/tray, 소반/table, 바구니/basket, 베개/pillow, 이불/blanket, 방석/cushion, 손수건/handkerchief, 저고리/jacket, 치마/skirt, 등/lantern, 부채/fan, 붓/brush, 벼루/stone, 필통/case, 보석함/box, 거울/mirror, 도마/board, 수저/spoon, 주전자/kettle, 항아리/jar, 꽃병/vase, 촛대/candlestick, 목걸이/necklace, 노리개/pendant, 돗자리/mat',
);
const words = { makers, materials, patterns, things };

const pick = <T>(from: readonly T[], at: number): T => from[at % from.length]!;

/** Generates a product from words chosen by its number: always the same, with equally frequent words. */
export function generateProduct(number: number): Body<typeof ProductAdded> {
  const thing = pick(things, number);
  const material = pick(materials, Math.floor(number / things.length));
  const pattern = pick(patterns, Math.floor(number / things.length / materials.length));
  const maker = pick(makers, Math.floor(number / 7));
  const other = pick(things, number * 11 + 5);
  const ko = {
    name: `${maker[0]} ${material[0]} ${pattern[0]} ${thing[0]}`,
    description: `${maker[0]}에서 ${material[0]}로 만든 ${thing[0]}입니다. ${pattern[0]} 무늬를 손으로 새겼고 ${other[0]}와 함께 쓰기 좋습니다.`,
  };
  const en = {
    name: `${maker[1]} ${material[1]} ${pattern[1]} ${thing[1]} No. ${number % 997}`,
    description: `A ${thing[1]} of ${material[1]} made by hand in ${maker[1]}, with a ${pattern[1]} pattern that goes well with every ${other[1]}.`,
  };
  return {
    productId: randomUUIDv7(),
    sku: `BEN-${number}`,
    ...ko,
    category: `category-${number % 12}`,
    price: { amount: 5_000 + ((number * 7_919) % 295_000), currency: 'KRW' },
    imageUrl: `data:image/svg+xml,${'x'.repeat(500)}`,
    version: 1,
    translations: { ko, en },
  };
}

const pickLanguage = (number: number) => number % 2;
const swapLetters = (word: string) => word.slice(0, 3) + word[4]! + word[3]! + word.slice(5);

/** Search texts of each kind, by number. */
export const searches: Record<string, (number: number) => string> = {
  'two words': (n) =>
    `${pick(words.materials, n)[pickLanguage(n)]} ${pick(words.things, Math.floor(n / 3))[pickLanguage(n)]}`,
  'two Korean words with particles': (n) => `${pick(patterns, n)[0]} ${pick(things, n)[0]}에는`,
  'two words, one mistyped': (n) =>
    `${pick(materials, n)[1]} ${swapLetters(
      pick(
        things.filter(([, en]) => en.length > 6),
        n,
      )[1],
    )}`,
  'two words that no product has together': (n) => `${pick(things, n)[1]} nothinglikeit${n}`,
  'one word': (n) => pick(things, n)[pickLanguage(n)]!,
  'a word of every product': () => 'hand',
};

export const typing: Record<string, (number: number) => string> = {
  'one letter': (n) => pick(things, n)[pickLanguage(n)]!.slice(0, 1),
  'half a word': (n) => {
    const word = pick(things, n)[pickLanguage(n)]!;
    return word.slice(0, Math.ceil(word.length / 2));
  },
  'one and a half words': (n) =>
    `${pick(words.materials, n)[pickLanguage(n)]} ${pick(things, Math.floor(n / 3))[pickLanguage(n)]!.slice(0, 2)}`,
  'a mistyped word': (n) =>
    swapLetters(
      pick(
        things.filter(([, en]) => en.length > 6),
        n,
      )[1],
    ),
};
